"""All networks of the list."""

from benchmarks.zoo.language import LANGUAGE
from benchmarks.zoo.others import OTHERS
from benchmarks.zoo.senses import SENSES
from benchmarks.zoo.vision import TIMM, TORCHVISION

ENTRIES = (*TORCHVISION, *TIMM, *LANGUAGE, *SENSES, *OTHERS)
