"""Decoded training pictures in one file, mapped into memory, so that a pass decodes nothing.

Each picture lies there twice: as it is, and at half its size, so that a strong scale-down reads the
half and neither aliases nor costs more. The file lies outside the checkout; it is never distributed.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.data import U8
from vigil.training.labels import Picture, UnusableDataSet


@dataclass(frozen=True, slots=True)
class PictureCache:
    """Pictures by index, read-only, BGR."""

    pixels: U8  # the whole file, flat
    offsets: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]  # height, width of each picture

    def __len__(self) -> int:
        return len(self.offsets)

    def full(self, index: int) -> U8:
        """The picture as it is, (H, W, 3)."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def half(self, index: int) -> U8:
        """The picture at half its size, (H // 2, W // 2, 3)."""
        height, width = self.shapes[index]
        start = self.offsets[index] + height * width * 3
        height, width = height // 2, width // 2
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


def open_cache(
    pictures: Sequence[Picture],
    folder: Path,
    *,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> PictureCache:
    """The cache of these pictures, made first where it is not there.

    The file is named by a hash of the pictures' paths and sizes, so another choice of pictures is
    another file. ``progress`` is told how many pictures are done. Raises UnusableDataSet on a picture
    that does not decode to the size that its manifest says.
    """
    shapes = tuple((picture.height_px, picture.width_px) for picture in pictures)
    sizes_bytes = [3 * (h * w + (h // 2) * (w // 2)) for h, w in shapes]
    offsets = tuple(int(o) for o in np.concatenate([[0], np.cumsum(sizes_bytes)[:-1]]))
    total_bytes = int(sum(sizes_bytes))
    path = folder / f"pictures-{_digest(pictures)}.bin"
    if not path.is_file() or path.stat().st_size != total_bytes:
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".partial-{os.getpid()}")
        pixels = np.memmap(partial, np.uint8, mode="w+", shape=(total_bytes,))
        writing = PictureCache(pixels=pixels, offsets=offsets, shapes=shapes)
        with ThreadPoolExecutor(workers) as pool:
            tasks = pool.map(
                lambda i: _decode_into(writing, i, pictures[i].path), range(len(shapes))
            )
            for done, _ in enumerate(tasks, start=1):
                if progress is not None:
                    progress(done)
        pixels.flush()
        del pixels, writing
        partial.replace(path)
    mapped = np.memmap(path, np.uint8, mode="r", shape=(total_bytes,))
    return PictureCache(pixels=np.asarray(mapped), offsets=offsets, shapes=shapes)


def _digest(pictures: Sequence[Picture]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for picture in pictures:
        digest.update(f"{picture.path}|{picture.width_px}|{picture.height_px}\n".encode())
    return digest.hexdigest()


def _decode_into(cache: PictureCache, index: int, path: Path) -> None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    height, width = cache.shapes[index]
    if image is None or image.shape != (height, width, 3):
        found = "nothing" if image is None else f"{image.shape[1]}×{image.shape[0]}"
        raise UnusableDataSet(f"{path} decodes to {found}, its manifest says {width}×{height}")
    cache.full(index)[:] = image
    half_size = (width // 2, height // 2)
    cache.half(index)[:] = cv2.resize(image, half_size, interpolation=cv2.INTER_AREA)
