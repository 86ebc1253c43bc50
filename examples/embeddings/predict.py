"""Turn sentences into vectors that are close when the sentences mean the same, with WordLlama."""

from pathlib import Path as LocalPath

import wordllama

from servekit import BasePredictor, Input


class Predictor(BasePredictor):
    """Embeds sentences. The weights come with the package."""

    def setup(self) -> None:
        """Load the weights and the tokenizer from the installed package, and never from the network."""
        package = LocalPath(wordllama.__file__).parent
        self.model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)

    def predict(
        self,
        sentences: list[str] = Input(description="The sentences to embed.", min_length=1, max_length=1000),
        normalize: bool = Input(True, description="Whether each vector gets length 1."),
    ) -> list[list[float]]:
        """Return one vector of 256 numbers per sentence; a numpy array fits, and is written as lists."""
        return self.model.embed(sentences, norm=normalize)
