"""An image in, an image out: a thumbnail in one of three styles."""

from typing import Literal

from PIL import Image, ImageFilter, ImageOps

from servekit import BasePredictor, Input, Path, current_scope


class Predictor(BasePredictor):
    """Makes small versions of images."""

    def predict(
        self,
        image: Path = Input(description="A PNG, JPEG or WebP image."),
        max_size: int = Input(256, description="The longer side of the result, in pixels.", ge=16, le=4096),
        style: Literal["plain", "gray", "edges"] = Input("plain", description="What to do besides shrinking."),
    ) -> Path:
        """Shrink an image and give it a style."""
        with Image.open(image) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture.thumbnail((max_size, max_size))
        if style != "plain":
            picture = ImageOps.grayscale(picture)
        if style == "edges":
            picture = ImageOps.autocontrast(picture.filter(ImageFilter.FIND_EDGES))
        target = current_scope().temp_dir / "result.png"
        picture.save(target)
        return Path(target)
