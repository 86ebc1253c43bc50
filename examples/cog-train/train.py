"""A training written for Cog: a table goes in, and a file of weights comes out."""

import csv
from pathlib import Path as LocalPath
from tempfile import mkdtemp

import joblib
from cog import BaseModel, Input, Path, current_scope
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score


class TrainingOutput(BaseModel):
    """What Cog expects a training to return."""

    weights: Path


def train(
    table: Path = Input(description="A CSV file with a heading; its last column is what is to be learned"),
    trees: int = Input(description="How many trees the forest has", default=50, ge=1, le=1000),
    seed: int = Input(description="The same seed gives the same weights", default=0),
) -> TrainingOutput:
    """Fit a random forest to the rows of a table."""
    with table.open(newline="") as file:
        names, *rows = csv.reader(file)
    values = [[float(cell) for cell in row[:-1]] for row in rows]
    labels = [row[-1] for row in rows]
    print(f"{len(rows)} rows, {len(set(labels))} kinds of {names[-1]}")  # noqa: T201

    forest = RandomForestClassifier(trees, random_state=seed)
    accuracy = float(cross_val_score(forest, values, labels, cv=3).mean())
    print(f"accuracy on rows it has not seen: {accuracy:.3f}")  # noqa: T201
    current_scope().record_metric("accuracy", accuracy)

    weights = LocalPath(mkdtemp()) / "weights.bin"
    joblib.dump({"names": names[:-1], "forest": forest.fit(values, labels)}, weights)
    return TrainingOutput(weights=Path(weights))
