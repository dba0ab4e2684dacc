"""Why a model answers as it does: motifs, contributions, mutations."""
