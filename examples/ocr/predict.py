"""Read the text in an image, with RapidOCR's models, which come with its package."""

from pydantic import BaseModel
from rapidocr_onnxruntime import RapidOCR

from servekit import BasePredictor, Input, Path, current_scope


class Line(BaseModel):
    """One line of text and where it stands, in pixels from the upper left corner."""

    text: str
    confidence: float
    left: int
    top: int
    right: int
    bottom: int


class Page(BaseModel):
    """What was read from one image."""

    text: str
    lines: list[Line]


class Predictor(BasePredictor):
    """Finds lines of text and reads them, from top to bottom."""

    def setup(self) -> None:
        """Load the three models: find text, turn it upright, read it."""
        self.engine = RapidOCR()

    def predict(
        self,
        image: Path = Input(description="A photo or scan with printed text."),
        min_confidence: float = Input(0.5, description="Lines below this are left out.", ge=0, le=1),
    ) -> Page:
        """Read an image."""
        found, _ = self.engine(str(image))
        lines = [make_line(corners, text, confidence) for corners, text, confidence in found or []]
        kept = [line for line in lines if line.confidence >= min_confidence]
        current_scope().log(f"found {len(lines)} lines, kept {len(kept)}")
        return Page(text="\n".join(line.text for line in kept), lines=kept)


def make_line(corners: list[list[float]], text: str, confidence: float) -> Line:
    """Turn one finding, whose corners may be slanted, into a line in an upright box."""
    xs, ys = zip(*corners, strict=True)
    return Line(
        text=text,
        confidence=round(confidence, 4),
        left=int(min(xs)),
        top=int(min(ys)),
        right=int(max(xs)),
        bottom=int(max(ys)),
    )
