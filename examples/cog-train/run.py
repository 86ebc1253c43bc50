"""A project written for Cog: names what has the given measurements, by weights that its own training made."""

import joblib
from cog import BaseRunner, Input


class Runner(BaseRunner):
    """A random forest."""

    def setup(self, weights: str | None = None) -> None:
        """Load the weights: the file that COG_WEIGHTS names, or that of the last training here."""
        trained = joblib.load(weights or "weights.bin")
        self.names: list[str] = trained["names"]
        self.forest = trained["forest"]

    def run(
        self, measurements: list[float] = Input(description="One number for each column of the table but the last")
    ) -> str:
        """Run a single prediction on the model."""
        if len(measurements) != len(self.names):
            raise ValueError(f"expected {len(self.names)} numbers: {', '.join(self.names)}")
        return str(self.forest.predict([measurements])[0])
