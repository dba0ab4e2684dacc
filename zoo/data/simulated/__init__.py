"""Simulated data sets with known parameters; the same seed gives the same data on every machine."""

from collections.abc import Callable
from functools import cache, partial

import pandas as pd
from anndata import AnnData

from .beats import beats
from .drugs import drugs
from .expression import expression
from .motif import motif_simulation
from .multiomics import multiomics
from .patients import patients
from .vessels import aneurysms, vessels

SIMULATIONS: dict[str, Callable[[], pd.DataFrame | AnnData | dict[str, pd.DataFrame]]] = {
    "motif_simulation": motif_simulation,
    "ecg_beats_simulated": beats,
    "drugs_simulated": drugs,
    "expression_simulated": expression,
    "multiomics_simulated": cache(partial(multiomics, patients=600)),  # cached, since each modality reads it
    "patients_simulated": patients,
    "vessels_simulated": vessels,
    "vessels3d_simulated": aneurysms,
}
