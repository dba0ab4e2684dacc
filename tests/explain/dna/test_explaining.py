"""Output of ``zoo explain`` for shipped weights, for sequences of the user and for variants."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

import zoo
from zoo import explain
from zoo.cli import main
from zoo.data import SequenceData
from zoo.data.simulated.motif import MOTIF
from zoo.encode.dna import dna_text, reverse_complement
from zoo.errors import InputError
from zoo.models import CNN1D

OUT = Path("runs/cnn1d_motif/pretrained/explanation")


def test_shipped_filters_hold_the_motif() -> None:
    model, data = zoo.load("cnn1d_motif"), SequenceData("motif_simulation")
    motifs = explain.filter_motifs(model, data.training_inputs())
    assert len(motifs) == model.first_convolution.out_channels
    best = max(motifs, key=lambda motif: motif.information.sum() if motif.sites else 0)
    assert MOTIF in best.consensus
    assert 400 < best.sites < 800  # once in each bound training sequence
    assert best.counts.sum(0) == pytest.approx(best.sites)  # no base is unknown here


def test_filters_are_read_from_the_sites_that_activate_them() -> None:
    model, data = zoo.load("cnn1d_motif"), SequenceData("motif_simulation")
    codes = data.training_inputs()[:50]
    (width,) = model.first_convolution.kernel_size
    motif = explain.filter_motifs(model, codes, threshold=0.9)[0]
    with torch.inference_mode():
        activation = model.first_convolution(model.encode(codes)).exp()[:, 0]
    rows, places = torch.nonzero(activation >= 0.9 * activation.max(), as_tuple=True)
    sites = [dna_text(codes)[i][j : j + width] for i, j in zip(rows.tolist(), places.tolist(), strict=True)]
    assert motif.sites == len(sites)
    assert motif.counts[0].tolist() == [sum(site[k] == "A" for site in sites) for k in range(width)]


def test_filters_of_a_model_of_both_strands_see_both() -> None:
    data = SequenceData("motif_simulation")
    model = CNN1D(spec=data.spec, filters=[4], reverse_complement="shared").eval()
    codes = data.training_inputs()[:100]
    for one, two in zip(*(explain.filter_motifs(model, x) for x in (codes, reverse_complement(codes))), strict=True):
        assert one.sites == two.sites
        assert (one.counts == two.counts).all()


def test_explain_writes_figures_and_tables(here: Path) -> None:
    main(["explain", "cnn1d_motif"])
    assert {path.name for path in OUT.iterdir()} == {
        "motifs.png",
        "motifs.csv",
        "motifs.meme",
        "motifs.jaspar",
        "contributions.png",
        "contributions.csv",
    }
    motifs = pd.read_csv(OUT / "motifs.csv")
    assert MOTIF in motifs["consensus"][0]
    assert [motif.name for motif in explain.read_motifs(OUT / "motifs.meme")] == motifs["motif"].tolist()
    table = pd.read_csv(OUT / "contributions.csv")
    assert len(table) == 4 * 50  # two of each class
    assert set(table["class"]) == {"yes"}
    effects = table[[f"effect_{base}" for base in "ACGT"]].to_numpy()
    assert table["contribution"].to_numpy() == pytest.approx(-effects.sum(1) / 3, abs=1e-3)


@pytest.mark.parametrize("name", ["cnn1d_promoters", "cnn1d_splice_deep"])
def test_explain_of_many_filters(name: str, here: Path) -> None:
    main(["explain", name])
    folder = Path(f"runs/{name}/pretrained/explanation")
    assert (folder / "motifs.png").is_file()
    assert len(pd.read_csv(folder / "motifs.csv")) == zoo.load(name).first_convolution.out_channels


def test_explain_takes_the_users_sequences(here: Path, zoo_fails: Callable[..., str]) -> None:
    Path("my.fa").write_text(f">first\n{'ACGTT' * 4}{MOTIF}{'GGTCA' * 3}GGT\n>second\n{'ACGTT' * 10}\n")
    main(["explain", "--config", "cnn1d_motif", "--fasta", "my.fa", "--method", "gradient"])
    table = pd.read_csv(OUT / "contributions.csv")
    assert table["sequence"].unique().tolist() == ["first", "second"]
    first = table[table["sequence"] == "first"].set_index("position")["contribution"]
    assert first.idxmax() in range(21, 33)
    Path("my.fa").write_text(">short\nACGT\n")
    assert "sequences have 4 bases, the model takes 50" in zoo_fails("explain", "cnn1d_motif", "--fasta", "my.fa")


def test_explain_tells_effects_of_variants(here: Path, zoo_fails: Callable[..., str]) -> None:
    left = "ACGTT" * 20
    Path("g.fa").write_text(f">chr1\n{left}{MOTIF}{left}\n")
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    Path("v.vcf").write_text(head + "chr1\t106\tbreaks\tG\tT\t.\t.\t.\nchr1\t60\tbeside\tT\tA\t.\t.\t.\n")
    main(["explain", "cnn1d_motif", "--vcf", "v.vcf", "--genome", "g.fa"])
    effects = pd.read_csv(OUT / "variants.csv").set_index("id")["forward_yes"]
    assert effects["breaks"] < -2
    assert abs(effects["beside"]) < abs(effects["breaks"]) / 3
    Path("v.vcf").write_text(head + "chr1\t106\t.\tA\tT\t.\t.\t.\n")
    assert "chr1:106" in zoo_fails("explain", "cnn1d_motif", "--vcf", "v.vcf", "--genome", "g.fa")
    assert "--genome" in zoo_fails("explain", "cnn1d_motif", "--vcf", "v.vcf")
    Path("v.vcf").write_text(head + "chr1\t0\tend\tN\tT\t.\t.\t.\nchr1\t106\t.\tR\tT\t.\t.\t.\n")
    main(["explain", "cnn1d_motif", "--vcf", "v.vcf", "--genome", "g.fa"])
    assert pd.read_csv(OUT / "variants.csv").empty


def test_what_does_not_fit_a_model(here: Path, zoo_fails: Callable[..., str]) -> None:
    refused = zoo_fails("explain", "mlp_pima", "--method", "mutagenesis")
    assert "method for table data 'mutagenesis' is unknown; known: lime" in refused
    Path("my.fa").write_text(">first\nACGT\n")
    assert "--fasta is not available for table data" in zoo_fails("explain", "mlp_pima", "--fasta", "my.fa")
    assert "did you mean mutagenesis" in zoo_fails("explain", "cnn1d_motif", "--method", "mutagenisis")
    with pytest.raises(InputError, match="no filters over one-hot DNA"):
        explain.filter_motifs(zoo.load("mlp_pima"), torch.zeros(3, 50, dtype=torch.uint8))
    assert not Path("runs").exists()
