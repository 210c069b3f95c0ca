"""What every section of a configuration is made of: its base, the shape of an image, ranges of numbers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Widths = Annotated[tuple[Positive, ...], Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused and values cannot change after they were checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Image(Section):
    """Shape of one image, real or generated."""

    height: Annotated[int, Field(ge=4, le=1024)] = 28
    """Rows, in pixels (MNIST: 28)."""
    width: Annotated[int, Field(ge=4, le=1024)] = 28
    """Columns, in pixels (MNIST: 28)."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for RGB."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels
