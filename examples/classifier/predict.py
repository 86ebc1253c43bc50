"""Tell an iris's species from four measurements, with a scikit-learn model trained at setup."""

from collections.abc import Iterable
from dataclasses import dataclass

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from servekit import BasePredictor, Batch, Input, batch


@dataclass(frozen=True)
class Answer:
    """The likeliest species, and the probability of each."""

    species: str
    probabilities: dict[str, float]


class Predictor(BasePredictor):
    """Classifies irises."""

    def setup(self) -> None:
        """Train on Fisher's 150 irises, a fifth of them held back to print how good the model is."""
        data = load_iris()
        train, test, train_labels, test_labels = train_test_split(data.data, data.target, test_size=0.2, random_state=0)
        self.species = [str(name) for name in data.target_names]
        self.model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, train_labels)
        print(f"accuracy on {len(test)} flowers held back: {self.model.score(test, test_labels):.3f}")  # noqa: T201

    @batch(max_size=64)
    def predict(
        self,
        sepal_length: Batch[float] = Input(description="Centimetres.", gt=0, le=20),
        sepal_width: Batch[float] = Input(description="Centimetres.", gt=0, le=20),
        petal_length: Batch[float] = Input(description="Centimetres.", gt=0, le=20),
        petal_width: Batch[float] = Input(description="Centimetres.", gt=0, le=20),
    ) -> Batch[Answer]:
        """Classify one flower, together with those of other requests that wait."""
        flowers = list(zip(sepal_length, sepal_width, petal_length, petal_width, strict=True))
        return [self.answer(row) for row in self.model.predict_proba(flowers)]

    def answer(self, row: Iterable[float]) -> Answer:
        """Name the probabilities of one flower."""
        probabilities = {name: round(float(value), 4) for name, value in zip(self.species, row, strict=True)}
        return Answer(species=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities)
