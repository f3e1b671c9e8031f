"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files."""

# ruff: noqa: F403

from lib.figures.diagnosis import *
from lib.figures.generic import *
from lib.figures.linear import *
from lib.figures.multichannel import *
from lib.figures.relu import *
from lib.figures.representation import *
from lib.figures.style import *
from lib.figures.surfaces import *
from lib.figures.training import *
