"""Explanations of trained models.

For DNA: filter motifs, contributions of bases, effects of mutations and variants. For images, series and tables: heat
maps, influence of time points, LIME. For expression and several modalities: importance of features and modalities, and
its stability over independently trained models. For generative models: effects of perturbing an input.
"""

from importlib import import_module
from pkgutil import walk_packages

from .dna.attribution import attribute as attribute
from .dna.explain_dna import contribution_logos as contribution_logos
from .dna.explain_dna import explain as explain
from .dna.filters import filter_motifs as filter_motifs
from .dna.logo import logo as logo
from .dna.logo import logos as logos
from .dna.match import match as match
from .dna.motif import Motif as Motif
from .dna.motif_files import jaspar as jaspar
from .dna.motif_files import read_motifs as read_motifs
from .dna.motif_files import write_jaspar as write_jaspar
from .dna.motif_files import write_meme as write_meme
from .dna.mutagenesis import check_dna as check_dna
from .dna.mutagenesis import mutagenesis as mutagenesis
from .dna.variants import allele_effects as allele_effects
from .dna.variants import variant_effects as variant_effects
from .explainers import EXPLAINERS as EXPLAINERS
from .explainers import OF_FASTA as OF_FASTA
from .explainers import OF_VCF as OF_VCF
from .explainers import Request as Request
from .features.attribution import feature_importance as feature_importance
from .features.enrichment import enrichment as enrichment
from .features.explain_features import explain_features as explain_features
from .features.modality_weights import modality_weights as modality_weights
from .features.modality_weights import plot_modality_weights as plot_modality_weights
from .perturbation.copies import with_copies as with_copies
from .perturbation.figures import shift_map as shift_map
from .perturbation.figures import volcano as volcano
from .perturbation.perturb import ensemble as ensemble
from .perturbation.perturb import perturb as perturb
from .perturbation.univariate import univariate as univariate
from .pixels.explain_samples import default_method as default_method
from .pixels.explain_samples import explain_samples as explain_samples
from .pixels.heat_maps import heat_map as heat_map
from .pixels.lime import lime_image as lime_image
from .pixels.lime import lime_table as lime_table
from .pixels.series_influence import series_influence as series_influence
from .stability.feature_stability import FeatureStability as FeatureStability
from .stability.feature_stability import feature_stability as feature_stability
from .stability.figures import plot_feature_stability as plot_feature_stability

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)  # each module registers its explainers
