"""Motifs: information content, files for other programs, heights of the letters in logos, matches."""

import re

import numpy as np
import pytest
from Bio import motifs as bio
from matplotlib.colors import to_hex

from zoo import files
from zoo.errors import InputError
from zoo.explain.dna.logo import COLOURS, GAP, draw, logo, logos
from zoo.explain.dna.match import COLUMNS, match
from zoo.explain.dna.motif import Motif
from zoo.explain.dna.motif_files import PACKAGED, jaspar, read_motifs, write_jaspar, write_meme
from zoo.figure import Figure

MEME = """MEME version 5

ALPHABET= ACGT

MOTIF m1 first
letter-probability matrix: alength= 4 w= 2 nsites= 10 E= 0
0.1 0.2 0.3 0.4
1.0 0.0 0.0 0.0

MOTIF m2
letter-probability matrix: alength= 4 w= 1
0.25 0.25 0.25 0.25
"""
JASPAR = """>m1\tfirst
A [ 1 10 ]
C [ 2 0 ]
G [ 3 0 ]
T [ 4 0 ]
>m2
A [ 5 ]
C [ 5 ]
G [ 5 ]
T [ 5 ]
"""


@pytest.fixture(scope="module")
def known():
    return jaspar()


@pytest.fixture(scope="module")
def ctcf(known):
    return next(motif for motif in known if motif.name == "MA0139.2")


@pytest.fixture
def motif():
    """Two bits, one bit, none (equal), none (nothing counted)."""
    return Motif("m", np.array([[8, 0, 2, 0], [0, 4, 2, 0], [0, 4, 2, 0], [0, 0, 2, 0]]), 8, "hand made")


def random_motif(seed, width=19, sites=500, spread=0.3):
    return Motif(f"random{seed}", np.random.default_rng(seed).dirichlet([spread] * 4, width).T * sites, sites)


def uniform(width=12, sites=100):
    return Motif("uniform", np.full((4, width), sites / 4), sites)


def test_information_by_hand(motif):
    np.testing.assert_array_equal(motif.information, [2, 1, 0, 0])
    np.testing.assert_array_equal(motif.heights[:2], [[2, 0, 0, 0], [0, 0.5, 0.5, 0]])
    halves = Motif("m", np.array([[6], [2], [0], [0]]), 8)
    np.testing.assert_allclose(halves.information, 2 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))


def test_probabilities_are_never_zero(motif):
    np.testing.assert_allclose(motif.probabilities[:, 0], np.array([8.25, 0.25, 0.25, 0.25]) / 9)
    np.testing.assert_allclose(motif.probabilities.sum(0), 1)
    np.testing.assert_array_equal(motif.frequencies[:, 3], 0.25)


def test_consensus_needs_half_of_the_sites(motif):
    assert motif.consensus == "ACNN"
    assert Motif("m", np.array([[49, 50], [17, 20], [17, 20], [17, 10]]), 100).consensus == "NA"


def test_reverse_complement(ctcf):
    other = ctcf.reverse_complement()
    assert other.consensus == ctcf.consensus[::-1].translate(str.maketrans("ACGT", "TGCA"))
    np.testing.assert_array_equal(other.reverse_complement().counts, ctcf.counts)
    assert (other.name, other.sites, other.title) == (ctcf.name, ctcf.sites, ctcf.title)


def test_trimmed(motif):
    assert motif.trimmed(1).counts.shape == (4, 2)
    assert motif.reverse_complement().trimmed(1).consensus == "CT"
    assert uniform().trimmed().counts.shape == (4, 12)
    inner = Motif("m", np.array([[8, 2, 8], [0, 2, 0], [0, 2, 0], [0, 2, 0]]), 8)
    assert inner.trimmed(2).consensus == "ANA"


@pytest.mark.parametrize(
    ("counts", "sites", "message"),
    [
        (np.ones((3, 5)), 3, r"motif 'm': counts must have the shape \(4, width\), not \(3, 5\)"),
        (np.ones((4, 0)), 3, r"not \(4, 0\)"),
        (np.array([[1, 1], [1, 1], [1, -1], [1, 1]]), 3, "motif 'm', position 2: counts must be finite"),
        (np.full((4, 2), np.nan), 3, "position 1: counts must be finite"),
        (np.ones((4, 2)), -1, "number of sites must not be negative"),
    ],
)
def test_impossible_motifs(counts, sites, message):
    with pytest.raises(InputError, match=message):
        Motif("m", counts, sites)


def test_packaged_motifs(known, ctcf):
    assert len(known) == files.read_yaml(PACKAGED / "card.yaml")["motifs"] == 879
    assert files.sha256(PACKAGED / "motifs.jaspar") == files.read_yaml(PACKAGED / "card.yaml")["sha256"]
    assert len({motif.name for motif in known}) == 879
    assert (ctcf.title, ctcf.sites, ctcf.consensus) == ("CTCF", 913, "NCCACNAGGGGGCGC")
    known_to_others = bio.parse((PACKAGED / "motifs.jaspar").open(), "jaspar")
    for ours, theirs in zip(known, known_to_others, strict=True):
        assert (ours.name, ours.title) == (theirs.matrix_id, theirs.name)
        np.testing.assert_array_equal(ours.counts, [theirs.counts[base] for base in "ACGT"])


def test_a_changed_package_is_noticed(tmp_path, monkeypatch):
    from zoo.explain.dna import motif_files

    for name in ("card.yaml", "motifs.jaspar"):
        (tmp_path / name).write_bytes((PACKAGED / name).read_bytes())
    (tmp_path / "motifs.jaspar").write_text(JASPAR)
    monkeypatch.setattr(motif_files, "PACKAGED", tmp_path)
    motif_files._packaged.cache_clear()
    try:
        with pytest.raises(InputError, match="its checksum differs"):
            jaspar()
    finally:
        motif_files._packaged.cache_clear()


@pytest.mark.parametrize("text", [MEME, JASPAR, MEME.replace("\n", "\r\n"), "\n" + JASPAR.replace("[", "[  ")])
def test_both_formats_by_hand(tmp_path, text):
    (tmp_path / "m").write_text(text)
    first, second = read_motifs(tmp_path / "m")
    assert (first.name, first.title, first.sites, second.title, second.sites) == ("m1", "first", 10, "", 20)
    np.testing.assert_allclose(first.counts, [[1, 10], [2, 0], [3, 0], [4, 0]])


def test_round_trips(tmp_path, known):
    strange = [Motif("filter 3", np.array([[0.5, 0], [1.25, 0], [0, 0], [0, 3.5]]), 4, "two words"), uniform(sites=0)]
    write_jaspar(known + strange, tmp_path / "m.jaspar")
    write_meme(known + strange, tmp_path / "m.meme")
    for path in (tmp_path / "m.jaspar", tmp_path / "m.meme"):
        found = read_motifs(path)
        assert [m.name for m in found] == [m.name for m in known] + ["filter_3", "uniform"]
        assert [m.title for m in found[:880]] == [m.title for m in known] + ["two_words"]
        for before, after in zip(known + strange, found, strict=True):
            assert before.sites == after.sites
            np.testing.assert_allclose(after.frequencies, before.frequencies, atol=1e-7)
            if path.suffix == ".jaspar":
                np.testing.assert_array_equal(after.counts, before.counts)


def test_biopython_reads_what_is_written(tmp_path, known):
    write_jaspar(known[:9], tmp_path / "m.jaspar")
    write_meme(known[:9], tmp_path / "m.meme")
    for ours, theirs in zip(known, bio.parse((tmp_path / "m.jaspar").open(), "jaspar"), strict=False):
        assert (theirs.matrix_id, theirs.name) == (ours.name, ours.title)
        np.testing.assert_array_equal([theirs.counts[base] for base in "ACGT"], ours.counts)
    found = bio.parse((tmp_path / "m.meme").open(), "minimal")
    assert found.background == dict.fromkeys("ACGT", 0.25)
    for ours, theirs in zip(known[:9], found, strict=True):
        assert (theirs.name, theirs.num_occurrences) == (ours.name, ours.sites)
        expected = ours.frequencies * ours.sites
        np.testing.assert_allclose([theirs.counts[base] for base in "ACGT"], expected, atol=0.51)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: neither JASPAR .* nor MEME"),
        ("ACGT\n", "line 1: neither JASPAR .* nor MEME .*'ACGT'"),
        (JASPAR.replace("G [ 3 0 ]\n", ""), "line 4: motif 'm1': expected a row such as 'G "),
        (JASPAR.replace("G [ 3 0 ]", "G [ 3 x ]"), "line 4: motif 'm1': expected numbers, found ' 3 x '"),
        (JASPAR.replace("G [ 3 0 ]", "G [ 3 ]"), "line 4: motif 'm1': 1 counts of G, but 2 of A"),
        (JASPAR.replace("G [ 3 0 ]", "G [ 3 -1 ]"), "line 5: motif 'm1', position 2: counts must be finite and not"),
        (JASPAR.replace("G [ 3 0 ]", "G [ 3 inf ]"), "line 5: motif 'm1': a number is not finite"),
        (re.sub(r"\[.*\]", "[ ]", JASPAR), r"line 5: motif 'm1': counts must have the shape"),
        (JASPAR.replace(">m2", ">"), "line 6: expected a header"),
        (JASPAR[:-8], "line 10: motif 'm2': expected a row such as 'T .* found 'nothing'"),
        (MEME.replace("0.3 ", "x "), "line 7: motif 'm1', position 1 of 2: expected numbers, found '0.1 0.2 x 0.4'"),
        (MEME.replace("0.3 ", ""), "line 7: motif 'm1': expected probabilities of A, C, G and T that sum to 1"),
        (MEME.replace("0.3 ", "0.7 "), "line 7: motif 'm1': expected probabilities"),
        (MEME.replace("w= 2", "w= 3"), "line 10: motif 'm1', position 3 of 3: expected numbers, found 'MOTIF m2'"),
        (MEME.replace("w= 2", "w= two"), "line 6: motif 'm1': expected 'w= WIDTH nsites= SITES'"),
        (MEME.replace("nsites= 10", "nsites= inf"), "line 6: motif 'm1': expected 'w= WIDTH"),
        (MEME.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"), "line 3: these are not motifs of DNA"),
        (MEME.replace("MOTIF m2\n", ""), "line 10: a matrix without a line such as 'MOTIF"),
        (MEME.split("letter")[0] + "MOTIF m2\n", "line 6: motif 'm1' before it has no letter-probability matrix"),
        (MEME.split("letter")[0], "motif 'm1' has no letter-probability matrix"),
        (MEME.split("MOTIF")[0], "no motifs"),
    ],
)
def test_damaged_files_are_told_in_one_line(tmp_path, text, message):
    (tmp_path / "damaged").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_motifs(tmp_path / "damaged")
    assert "damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file"):
        read_motifs(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00>")
    with pytest.raises(InputError, match="binary: not a text file"):
        read_motifs(tmp_path / "binary")


def letters(content):
    """Boxes of the letters that are drawn: (base, position) -> (left, right, lowest, highest)."""
    axes = Figure().add_subplot()
    collection = draw(axes, content)
    assert len(axes.collections) == 1
    boxes = {}
    for base, path in zip("ACGT", collection.get_paths(), strict=True):
        # An A has two outlines: those of one letter have one centre.
        for outline in path.to_polygons(closed_only=False) if len(path.vertices) else []:
            (left, low), (right, high) = outline.min(0), outline.max(0)
            position = round((left + right) / 2)
            old = boxes.get((base, position), (left, right, low, high))
            boxes[base, position] = (min(old[0], left), max(old[1], right), min(old[2], low), max(old[3], high))
    return boxes, axes


def test_letters_fill_their_boxes():
    heights = np.array([[0.1, -0.7, 1.5, -0.2], [0, 0, 0, 0], [2, 0, 0, 0], [0, 0, -1, 0]])
    boxes, axes = letters(heights)
    assert sorted(boxes) == [("A", 1), ("A", 3), ("C", 1), ("G", 1), ("G", 4), ("T", 1)]
    expected = {
        ("A", 1): (0, 0.1),
        ("G", 1): (0.1, 1.6),
        ("T", 1): (-0.2, 0),
        ("C", 1): (-0.9, -0.2),
        ("A", 3): (0, 2),
        ("G", 4): (-1, 0),
    }
    for (base, position), box in boxes.items():
        np.testing.assert_allclose(box[2:], expected[base, position], atol=0.003)  # curves are drawn in steps
        np.testing.assert_allclose(box[:2], (position - 0.5 + GAP / 2, position + 0.5 - GAP / 2), atol=0.003)
    assert axes.get_xlim() == (0.5, 4.5)
    assert axes.get_ylim() == pytest.approx((-1.05, 2.1))


def test_motif_reaches_two_bits(motif):
    boxes, axes = letters(motif)
    assert sorted(boxes) == [("A", 1), ("C", 2), ("G", 2)]
    np.testing.assert_allclose(boxes["A", 1][2:], (0, 2), atol=1e-6)
    assert axes.get_ylim() == (0, 2)


def test_negative_letters_hang_upside_down():
    """The crossbar of a T is at its far end."""
    for sign in (1, -1):
        path = draw(Figure().add_subplot(), np.array([[0, 0, 0, sign]])).get_paths()[3]
        wide = path.vertices[np.isclose(path.vertices[:, 0], path.vertices[:, 0].min())]
        assert (wide[:, 1] * sign > 0.5).all()


def test_each_base_has_its_colour():
    collection = draw(Figure().add_subplot(), np.eye(4))
    assert [round(path.vertices[:, 0].mean()) for path in collection.get_paths()] == [1, 2, 3, 4]
    assert [to_hex(colour).upper() for colour in collection.get_facecolors()] == list(COLOURS.values())


def test_long_logo_continues_below(tmp_path):
    heights = np.zeros((230, 4))
    heights[:, 0] = 1
    heights[229, 3] = -3
    figure = logo(heights, "Contributions", "change of log odds", first=1001)
    figure.savefig(tmp_path / "logo.png")
    assert [axes.get_xlim() for axes in figure.axes] == [(1000.5, 1100.5), (1100.5, 1200.5), (1200.5, 1300.5)]
    for axes in figure.axes:
        assert axes.get_ylim() == pytest.approx((-3.15, 1.05))
    assert (figure.get_supylabel(), figure.get_suptitle()) == ("change of log odds", "Contributions")
    assert logo(uniform(), "Nothing").axes[0].get_ylim() == (0, 2)


def test_panel_names_each_motif(known, tmp_path):
    figure = logos(known[:6], "Known motifs", notes=["", "resembles nothing", *[""] * 4])
    figure.savefig(tmp_path / "panel.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[1] == "MA0003.5 TFAP2A, 15,968 sites\nresembles nothing"
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_figures_refuse_what_they_cannot_show(known):
    with pytest.raises(InputError, match=r"shape \(length, 4\) for A, C, G and T, not \(4, 9\)"):
        logo(np.ones((4, 9)), "wrong way round")
    with pytest.raises(InputError, match="finite heights, but position 2 has others"):
        logo(np.array([[1, 0, 0, 0], [np.nan, 0, 0, 0]]), "not a number")
    with pytest.raises(InputError, match="no motifs to draw"):
        logos([], "none")
    with pytest.raises(InputError, match="1 notes for 2 motifs"):
        logos(known[:2], "two", notes=["one"])


def test_a_known_motif_finds_itself(known, ctcf):
    found = match([ctcf, ctcf.reverse_complement()])
    assert list(found.columns) == COLUMNS
    assert list(found["target"]) == ["MA0139.2"] * 2
    assert list(found["target_name"]) == ["CTCF"] * 2
    assert list(found["strand"]) == ["+", "-"]
    assert list(found["offset"]) == [0, 0]
    assert list(found["overlap"]) == [15, 15]
    assert found["q_value"].max() < 1e-20
    palindrome = next(m for m in known if np.array_equal(m.counts, m.counts[::-1, ::-1]))
    assert list(match([palindrome.reverse_complement()])["strand"]) == ["+"]


def test_uninformative_flanks_change_only_the_offset(ctcf):
    counts = np.full((4, 25), ctcf.sites / 4)
    counts[:, 6:21] = ctcf.counts
    (found,) = match([Motif("padded", counts, ctcf.sites)]).to_dict("records")
    (bare,) = match([ctcf]).to_dict("records")
    assert (found["target"], found["offset"], found["overlap"]) == ("MA0139.2", -6, 15)
    assert found["p_value"] == bare["p_value"]


def test_several_targets_nearest_first(ctcf):
    found = match([ctcf, random_motif(1)], best=3)
    assert list(found["motif"]) == ["MA0139.2"] * 3 + ["random1"] * 3
    assert list(found["target_name"][:3]) == ["CTCF"] * 3
    assert (found.groupby("motif")["p_value"].is_monotonic_increasing).all()
    assert (found["q_value"] >= found["p_value"]).all()


def test_chance_is_not_significant():
    assert (match([random_motif(seed) for seed in range(40)])["q_value"] > 0.05).all()


def test_what_resembles_anything_has_no_target(ctcf):
    """Uniform flanks are more similar to those of known motifs than most positions are."""
    rng = np.random.default_rng(0)
    noise = [Motif(f"noise{n}", rng.multinomial(n, [0.25] * 4, 19).T, n) for n in (10, 20, 100, 1000)]
    one_base = np.full((4, 19), 25.0)
    one_base[:, 9] = [100, 0, 0, 0]
    weak = [uniform(), Motif("empty", np.zeros((4, 19)), 0), Motif("one base", one_base, 100), *noise]
    found = match([*weak, ctcf])
    assert list(found["motif"]) == [m.name for m in (*weak, ctcf)]
    assert (found["p_value"][:-1] == 1).all()
    assert (found["q_value"][:-1] == 1).all()
    assert found["target"][:-1].isna().all()
    assert found["q_value"].iloc[-1] < 1e-20


def test_nothing_to_match(ctcf):
    assert match([]).empty
    assert list(match([]).dtypes) == list(match([ctcf]).dtypes)
    with pytest.raises(InputError, match="database has no motifs"):
        match([ctcf], [])
    with pytest.raises(InputError, match="best must be between 1 and 1, not 2"):
        match([ctcf], [ctcf], best=2)
    with pytest.raises(InputError, match="motif 'random1': 61 positions are too many to compare; cut it to 60"):
        match([random_motif(1, width=61, spread=0.05)])


def test_long_vague_motifs_have_no_target() -> None:
    rng = np.random.default_rng(0)
    columns = [np.array([rng.multinomial(490, rng.dirichlet([1.5] * 4)) for _ in range(16)]).T for _ in range(16)]
    found = match([Motif(f"random{number}", counts, 490) for number, counts in enumerate(columns)])
    assert (found["q_value"] > 0.05).all()
