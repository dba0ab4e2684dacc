"""Why a model answers as it does: motifs, contributions, mutations, maps of images, influence of time points.

And what it answers if its input were another: perturbations. Of several modalities: which it relies on, and which
features, in models trained independently and beside chance.
"""

from .attribution import attribute as attribute
from .enrichment import enrichment as enrichment
from .explaining import contribution_logos as contribution_logos
from .explaining import explain as explain
from .explaining_features import explain_features as explain_features
from .explaining_samples import default_method as default_method
from .explaining_samples import explain_samples as explain_samples
from .feature_attribution import feature_importance as feature_importance
from .feature_stability import FeatureStability as FeatureStability
from .feature_stability import feature_stability as feature_stability
from .filters import filter_motifs as filter_motifs
from .heat_maps import heat_map as heat_map
from .lime_explanations import lime_image as lime_image
from .lime_explanations import lime_table as lime_table
from .logo import logo as logo
from .logo import logos as logos
from .match import match as match
from .modality_weights import modality_weights as modality_weights
from .modality_weights import plot_modality_weights as plot_modality_weights
from .motif import Motif as Motif
from .motif_files import jaspar as jaspar
from .motif_files import read_motifs as read_motifs
from .motif_files import write_jaspar as write_jaspar
from .motif_files import write_meme as write_meme
from .mutagenesis import check_dna as check_dna
from .mutagenesis import mutagenesis as mutagenesis
from .perturbation import perturb as perturb
from .perturbation_copies import with_copies as with_copies
from .perturbation_ensemble import ensemble as ensemble
from .perturbation_figures import shift_map as shift_map
from .perturbation_figures import volcano as volcano
from .perturbation_univariate import univariate as univariate
from .series_influence import series_influence as series_influence
from .stability_figures import plot_feature_stability as plot_feature_stability
from .variants import allele_effects as allele_effects
from .variants import variant_effects as variant_effects
