"""DNA becomes codes, one-hot channels and words."""

from collections import Counter

import numpy as np
import pytest
import torch
from Bio.Seq import Seq

from zoo.encode import encoder
from zoo.encode.dna import LETTERS, dna_codes, dna_text, reverse_complement
from zoo.encode.kmer import KmerEmbedding, kmer_counts, kmer_names
from zoo.encode.one_hot import OneHotDNA, one_hot
from zoo.errors import InputError
from zoo.spec import Modality


def modality(length: int) -> Modality:
    return {"kind": "sequence", "shape": [length], "features": ["sequence"]}


def random_text(count: int, length: int, letters: str = LETTERS) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(row) for row in rng.choice(list(letters), (count, length))]


def test_codes_are_one_byte_a_base_in_the_order_of_the_field() -> None:
    codes = dna_codes(["ACGTN", "acguN"])
    assert codes.dtype == torch.uint8
    assert codes.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert dna_text(codes) == ["ACGTN"] * 2
    many = random_text(3000, 17)  # more than are encoded at a time
    assert dna_text(dna_codes(many)) == many


def test_one_hot_has_the_layout_of_the_field() -> None:
    x = OneHotDNA(modality(4))(dna_codes(["ACGT"]))
    assert x.shape == (1, 4, 4)
    assert torch.equal(x[0], torch.eye(4))
    assert torch.equal(one_hot(dna_codes(["TNGA"]), torch.uint8)[0].T[0], torch.tensor([0, 0, 0, 1], dtype=torch.uint8))


def test_letters_of_iupac_become_probabilities() -> None:
    from Bio.Data.IUPACData import ambiguous_dna_values

    for unknown, of_n in (("zeros", 0.0), ("uniform", 0.25)):
        layer = OneHotDNA(modality(1), unknown=unknown)
        for letter, bases in ambiguous_dna_values.items():
            if letter not in "NX":
                expected = [(base in bases) / len(bases) for base in "ACGT"]
                assert layer(dna_codes([letter]))[0, :, 0].tolist() == pytest.approx(expected), letter
        assert layer(dna_codes(["n"]))[0, :, 0].tolist() == [of_n] * 4


def test_full_rank_code_has_three_channels() -> None:
    x = OneHotDNA(modality(4), code="full-rank")(dna_codes(["ACGT"]))
    assert torch.equal(x[0], torch.eye(4)[:3])


def test_reverse_complement_is_that_of_biopython() -> None:
    texts = random_text(50, 31)
    assert dna_text(reverse_complement(dna_codes(texts))) == [str(Seq(text).reverse_complement()) for text in texts]
    plain = dna_codes(random_text(5, 20, "ACGTN"))
    assert torch.equal(one_hot(reverse_complement(plain)), one_hot(plain).flip(1, 2))


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        (["ACGT", "AC-T"], ["sequence 2", "position 3", "gap"]),
        (["ACGT", "ACGJ"], ["sequence 2", "position 4", "'J'"]),
        (["MKLVEF", "ACGTAC"], ["sequence 1", "'L'", "protein"]),
        (["ACGT", ""], ["sequence 2", "empty"]),
        (["ACGT", "ACGTA", "ACGTA"], ["2 of 5", "1 of 4", "--data.length 5"]),
        (["ACGT", "ACGé"], ["sequence 2", "position 4"]),
    ],
)
def test_wrong_letters_and_lengths_are_named(sequences: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        dna_codes(sequences)
    assert [word for word in words if word not in str(error.value)] == []


def test_position_of_a_wrong_letter_is_that_of_the_original() -> None:
    with pytest.raises(InputError, match="position 2"):
        dna_codes(["A*GTACGT", "ACGT"], length=4)


@pytest.mark.parametrize(
    ("text", "length", "expected"), [("ACG", 6, "NACGNN"), ("ACGTAC", 3, "CGT"), ("ACG", 3, "ACG")]
)
def test_padding_and_cropping_are_about_the_centre(text: str, length: int, expected: str) -> None:
    assert dna_text(dna_codes([text, "A" * length], length)) == [expected, "A" * length]


def test_kmers_are_counted_as_words() -> None:
    texts = random_text(40, 30, "ACGTN")
    counts = kmer_counts(dna_codes(texts), 3)
    for row, text in zip(counts, texts, strict=True):
        words = Counter(text[i : i + 3] for i in range(28) if "N" not in text[i : i + 3])
        assert {name: n for name, n in zip(kmer_names(3), row, strict=True) if n} == words


def test_kmer_embedding_gives_each_word_its_vector_and_each_place_its_own() -> None:
    layer = encoder(modality(6), {"layer": "k-mer", "k": 2, "width": 5})
    assert isinstance(layer, KmerEmbedding)
    x = layer(dna_codes(["ACACNN"]))
    assert x.shape == (1, *layer.out_shape) == (1, 5, 5)
    word = layer.words.weight[kmer_names(2).index("AC")]
    torch.testing.assert_close(x[0, :, 2], word + layer.positions.weight[2])
    torch.testing.assert_close(x[0, :, 4], layer.words.weight[-1] + layer.positions.weight[4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": "kmer"}, "did you mean k-mer"),
        ({"k": 3}, "no option 'k'"),
        ({"layer": "k-mer", "k": 9}, "k must be between 1 and"),
        ({"code": "onehot"}, "did you mean one-hot"),
        ({"unknown": "quarter"}, "known: zeros, uniform"),
    ],
)
def test_unknown_options_of_an_encoding(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        encoder(modality(30), options)
