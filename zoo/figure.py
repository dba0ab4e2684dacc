"""The figures of the zoo: free of pyplot, and shown by a notebook."""

from io import BytesIO

from matplotlib.figure import Figure as MatplotlibFigure


class Figure(MatplotlibFigure):
    """A figure that shows itself in a notebook, whatever the backend; pyplot keeps no hold of it.

    An inch is 100 pixels wide there, drawn from 150, so that letters are of one size in all figures, and sharp.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        self.savefig(buffer := BytesIO(), format="png", dpi=150)
        return buffer.getvalue(), {"width": round(100 * self.get_figwidth())}
