"""Tell what kind of file something is from its content, with Magika, whose model comes with its package."""

from dataclasses import dataclass

from magika import Magika

from servekit import BasePredictor, Input, Path


@dataclass(frozen=True)
class FileType:
    """What a file is, and how sure the model is of it."""

    label: str
    description: str
    mime_type: str
    is_text: bool
    confidence: float


class Predictor(BasePredictor):
    """Looks at a file's bytes and never at its name."""

    def setup(self) -> None:
        """Load the model."""
        self.magika = Magika()

    def predict(self, file: Path = Input(description="Any file.")) -> FileType:
        """Tell what kind of file it is."""
        found = self.magika.identify_path(file)
        return FileType(
            label=found.output.label,
            description=found.output.description,
            mime_type=found.output.mime_type,
            is_text=found.output.is_text,
            confidence=round(found.score, 4),
        )
