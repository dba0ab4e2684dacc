"""Tables as users' programs write them: shape of the file, types of columns, target, doubts. Torch is not needed."""

from .reading import read_table as read_table
from .text import UNNAMED as UNNAMED
