"""How pictures are brought to the size that a network takes."""

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from hormesis.errors import SettingError

Size = tuple[int, ...]
_MOST_SIDE = 8192


@dataclass(frozen=True)
class Preprocessing:
    """Size of the pictures: they are resized, then cropped at their centre, as in torchvision.

    Args:
        resize: One number for the shorter side in pixels, or height and width; empty for none.
        crop: One number for a square, or height and width, in pixels; empty for none.
        interpolation: How pixels are resized, as Pillow and torchvision call it.

    Raises:
        SettingError: For more than two numbers, or one outside of 1 to 8192.

    Example:
        >>> Preprocessing((256,), (224,)).described()
        'resized to 256 pixels on the shorter side (bilinear) and cropped to 224x224'
        >>> Preprocessing((8,), (8,)).apply(Image.new("RGB", (32, 16))).size
        (8, 8)
    """

    resize: Size = ()
    crop: Size = ()
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check the sizes."""
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if len(size) > 2 or not all(1 <= side <= _MOST_SIDE for side in size):
                raise SettingError(
                    f"Expected `{name}` to be one or two numbers of pixels from 1 to {_MOST_SIDE}, "
                    f"got {' '.join(map(str, size))}."
                )

    def apply(self, picture: Image.Image) -> Image.Image:
        """Return a picture in this size.

        Args:
            picture: Of red, green and blue, or of mode F.

        Raises:
            ValueError: If it is smaller than the crop.
        """
        image: Any = picture  # torchvision declares tensors only
        if self.resize:
            image = resize(image, list(self.resize), InterpolationMode(self.interpolation))
        if self.crop:
            height, width = self.crop if len(self.crop) == 2 else self.crop * 2
            if height > image.height or width > image.width:
                raise ValueError(
                    f"{image.width}x{image.height} pixels are fewer than the crop of "
                    f"{width}x{height}"
                )
            image = center_crop(image, [height, width])
        return image

    def described(self) -> str:
        """Return what is done, as a part of a sentence; empty for nothing."""
        parts = []
        if self.resize:
            shorter = len(self.resize) == 1
            size = f"{self.resize[0]} pixels on the shorter side" if shorter else _text(self.resize)
            parts.append(f"resized to {size} ({self.interpolation})")
        if self.crop:
            parts.append(f"cropped to {_text(self.crop)}")
        return " and ".join(parts)


def _text(size: Size) -> str:
    """Return width and height: ``64x48``."""
    return f"{size[-1]}x{size[0]}"
