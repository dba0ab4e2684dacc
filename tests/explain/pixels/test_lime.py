"""LIME of tables and images."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import lively, spec, trained

from zoo.data import TableData
from zoo.explain import explain_samples, lime_image, lime_table
from zoo.models import CNN2D, MLP


@pytest.fixture(scope="module")
def patients():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.normal(50, 10, 200), "noise": rng.normal(0, 1, 200), "sex": rng.choice(["f", "m"], 200)}
    )
    frame["stage"] = rng.choice(["I", "II", "III"], 200)
    frame["outcome"] = np.where((frame["age"] > 50) ^ (rng.random(200) < 0.05), "sick", "well")
    frame.loc[frame["sex"] == "m", "outcome"] = "sick"
    frame.loc[::9, ["age", "stage"]] = np.nan
    return frame


def test_lime_of_a_table(patients, here):
    patients.to_csv("patients.csv", index=False)
    data = TableData("patients.csv", target="outcome", ordered={"stage": ["I", "II", "III"]}, positive="sick")
    torch.manual_seed(0)
    model = trained(MLP(spec=data.spec, hidden=[8]), data.training_inputs(), data.training_targets(), 150, lr=0.02)
    rows = data.dataset.rows("validation")[:3]
    rows[0] = 0  # age and stage are missing
    names = data.samples.index[rows.numpy()]
    seen = []
    hook = model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    table = lime_table(model, data, data.dataset.x[rows], names, samples=1000)
    hook.remove()
    stages = torch.cat(seen)[:, model.spec["modalities"]["table"]["features"].index("stage")]
    assert stages.nan_to_num(-1).unique().tolist() == [-1, 0, 1, 2]  # an unknown rank is a missing one
    assert table.columns.tolist() == ["sample", "class", "feature", "condition", "weight"]
    assert table["sample"].unique().tolist() == names.tolist()
    assert set(table["class"]) == {"sick"}
    assert set(table["feature"]) == {"age", "noise", "sex", "stage"}
    strength = table.assign(weight=table["weight"].abs()).groupby("feature")["weight"].mean()
    assert strength["sex"] > 3 * strength["noise"]
    sexes = table[table["feature"] == "sex"].set_index("sample")
    assert (
        sexes["condition"] == "sex=" + patients["sex"].set_axis(patients.index.map(lambda i: str(i + 1)))[sexes.index]
    ).all()
    assert ((sexes["weight"] > 0) == (sexes["condition"] == "sex=m")).all()
    assert "stage=unknown" in table["condition"].tolist()
    alone = lime_table(model, data.training_inputs(), data.dataset.x[rows[1:2]], names[1:2], samples=1000)
    pd.testing.assert_frame_equal(alone, table[table["sample"] == names[1]].reset_index(drop=True))
    well = lime_table(model, data, data.dataset.x[rows], names, target="well", samples=1000)
    assert set(well["class"]) == {"well"}
    np.testing.assert_allclose(well["weight"], -table["weight"], atol=1e-6)
    others = TableData("patients.csv").conform(data.spec, external=True)  # has no training rows
    assert len(lime_table(model, others, data.dataset.x[rows], names, samples=100)) == len(table)
    written = explain_samples(model, data, data.dataset.x[rows], names, here / "out")
    assert [path.name for path in written] == ["conditions.png", "conditions.csv"]
    assert pd.read_csv(written[1])["condition"].tolist()


def test_lime_repeats_and_takes_any_channels():
    model = lively(CNN2D(spec=spec((2, 9, 13), "abc"), filters=[4], kernel_sizes=[3]))
    (image,) = model.encode.example(1)
    first = lime_image(model, image, samples=100)
    assert first.shape == (9, 13)
    assert len(first.unique()) > 3
    assert torch.equal(first, lime_image(model, image, samples=100))
    assert not torch.equal(first, lime_image(model, image, samples=100, seed=1))
