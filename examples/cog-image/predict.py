"""A project written for Cog: an image in, a smaller and softer image out."""

import tempfile

from cog import BasePredictor, Input, Path
from PIL import Image, ImageFilter, ImageOps


class Predictor(BasePredictor):
    """Resizes and blurs images."""

    def predict(
        self,
        image: Path = Input(description="The image to work on"),
        width: int = Input(description="Width of the result in pixels", default=256, ge=8, le=4096),
        blur: float = Input(description="Radius of the blur in pixels; 0 for none", default=2.0, ge=0, le=100),
        output_format: str = Input(description="Format of the result", choices=["png", "jpg", "webp"], default="png"),
    ) -> Path:
        """Run a single prediction on the model."""
        with Image.open(str(image)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))))
        if blur > 0:
            picture = picture.filter(ImageFilter.GaussianBlur(blur))
        output = Path(tempfile.mkdtemp()) / f"output.{output_format}"
        picture.save(str(output))
        return output
