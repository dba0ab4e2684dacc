"""Models of several modalities and targets, as users rely on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cohort import SURVIVAL, cohort, read_cohort, train, write_cohort  # noqa: F401 (a fixture)
from lightning.pytorch import Trainer

import zoo
from zoo.cli import main
from zoo.data import MultiOmicsData, TableData
from zoo.encode.joint import MEASURED
from zoo.latent import layers
from zoo.models import VAE, CustOmics, MultiModal
from zoo.report import evaluate
from zoo.report.figures import write_figures

SMALL = {"hidden": [16], "lr": 0.01}
KINDS = {
    "early": lambda spec: MultiModal(spec=spec, fusion="early", **SMALL),
    "joint": lambda spec: MultiModal(spec=spec, fusion="joint", **SMALL),
    "late": lambda spec: MultiModal(spec=spec, fusion="late", **SMALL),
    "mixed": lambda spec: CustOmics(
        spec=spec, hidden=[16], latent=8, central=8, central_hidden=[], classifier=[], survival_head=[], lr=0.01,
        switch_epoch=2, target_weight=2,
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def trained(request, cohort):
    torch.manual_seed(0)
    return train(KINDS[request.param](cohort.spec), cohort, 12), cohort


def test_it_learns_from_samples_that_lack_something(trained):
    model, data = trained
    tables = data.frame()
    every = model.predict(tables)
    assert list(every) == [
        "probability_well", "probability_ill", "prediction", "survival_risk",
        *[column for column in every if column.startswith("survival_survival_")],
    ]  # fmt: skip
    truth = data.samples["group"].dropna()
    assert (every["prediction"][truth.index] == truth).mean() > 0.85
    risk = every["survival_risk"][truth.index]
    assert risk[truth == "ill"].mean() > risk[truth == "well"].mean() + 0.2
    curves = every.filter(like="survival_survival_").to_numpy()
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (np.diff(curves, axis=1) <= 1e-6).all()
    rna = model.predict({"rna": tables["rna"]})
    assert (rna["prediction"] == every["prediction"][rna.index]).mean() > 0.85
    assert model.predict({"protein": tables["protein"]}).notna().all(axis=None)


def test_what_was_not_measured_is_not_looked_at(trained):
    model, data = trained
    x = data.dataset.x[torch.arange(20)].clone()
    x[MEASURED][:, 1] = False
    other = x.clone()
    other["protein"] = other["protein"].nan_to_num(0.0) + 7.0
    with torch.inference_mode():
        torch.testing.assert_close(model.raw_predictions(x), model.raw_predictions(other))
        assert torch.isfinite(model.raw_predictions(x)).all()


def test_a_batch_of_one_and_one_without_events_or_targets(trained):
    model, data = trained
    model.train()
    batch = next(iter(data.train_dataloader()))
    one = {key: values[:1] for key, values in batch.items()}
    batch["y survival"][:, 1] = 0.0
    no_target = {"y": torch.full_like(batch["y"], -1), "y survival": torch.full_like(batch["y survival"], torch.nan)}
    nothing = {**batch, **no_target}
    for given in (one, batch, nothing):
        loss = model.loss(given)
        loss.backward()
        assert torch.isfinite(loss)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision(kind, cohort):
    model = train(KINDS[kind](cohort.spec), cohort, 3, precision="bf16-mixed")
    assert model.predict(cohort.frame()).notna().all(axis=None)


WEIGHED = {
    **{name: lambda spec, weight, name=name: MultiModal(spec=spec, fusion=name, target_weight=weight, hidden=[16])
       for name in ("early", "joint", "late")},
    **{f"{variant}, phase {phase}": lambda spec, weight, variant=variant, phase=phase: CustOmics(
        spec=spec, variant=variant, hidden=[16], latent=8, central=8, central_hidden=[12], classifier=[6],
        survival_head=[5], target_weight=weight, switch_epoch=2 - phase,
    ) for variant in ("published", "corrected") for phase in (1, 2)},
}  # fmt: skip


def weighed(kind, first, extra):
    """Loss of a training batch, all losses of a validation, and the gradients of the heads, with these weights."""
    data = read_cohort(also={"survival": {**SURVIVAL["survival"], "weight": extra}})
    torch.manual_seed(0)
    model = WEIGHED[kind](data.spec, first)
    model.fit_encoders(data.training_inputs(), data.training_targets())
    rows = torch.arange(40)
    torch.manual_seed(1)  # of dropout and of what is drawn
    loss = model.loss({"x": data.dataset.x[rows], **data.dataset.targets(rows)})
    loss.backward()
    heads = {}
    for name, weights in model.named_parameters():
        if name.startswith(("head.", "further.")) and weights.grad is not None:
            heads.setdefault(name.split(".")[0], []).append(weights.grad.flatten())
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    (found,) = Trainer(**quiet).validate(model, data, verbose=False)
    return float(loss), found["validation_loss"], {name: torch.cat(parts).abs().sum() for name, parts in heads.items()}


@pytest.mark.parametrize("kind", WEIGHED)
def test_losses_of_targets_are_multiplied_by_their_weights(kind, here):
    """In proportion: each weight adds its multiple of the loss of its target, in training and in validation."""
    write_cohort()
    none, both = weighed(kind, 0.0, 0.0), weighed(kind, 1.5, 0.25)
    first, extra = (weighed(kind, 1.0, 0.0), weighed(kind, 0.0, 1.0))
    for number in (0, 1):
        own, other = first[number] - none[number], extra[number] - none[number]
        assert own > 0.1
        assert other > 0.1
        assert both[number] - none[number] == pytest.approx(1.5 * own + 0.25 * other, rel=1e-3)
    assert none[2]["head"] == none[2]["further"] == first[2]["further"] == extra[2]["head"] == 0
    assert both[2]["head"] == pytest.approx(1.5 * float(first[2]["head"]), rel=1e-3)
    assert both[2]["further"] == pytest.approx(0.25 * float(extra[2]["further"]), rel=1e-3)


def test_a_missing_target_moves_nothing(cohort):
    model = KINDS["joint"](cohort.spec)
    model.fit_encoders(cohort.training_inputs())
    rows = torch.arange(30)
    batch = {"x": cohort.dataset.x[rows], **cohort.dataset.targets(rows)}
    known = batch["y"] >= 0
    assert 0 < known.sum() < 30
    z = torch.randn(30, 32, requires_grad=True)
    model.loss_of_target(model.target_head, model.head(z), batch["y"]).backward()
    assert (z.grad.abs().sum(1) > 0).equal(known)


def test_modality_dropout_hides_some_but_never_all(cohort):
    model = MultiModal(spec=cohort.spec, modality_dropout=0.8, **SMALL)
    model.fit_encoders(cohort.training_inputs())
    encoded = model.encode(cohort.dataset.x[torch.arange(100)])
    measured = model.encode.measured(encoded)
    kept = model.encode.measured(model.mask_modalities(encoded))
    assert (kept <= measured).all()
    assert (kept.sum(1) >= 1).all()
    assert kept.sum() < 0.8 * measured.sum()
    model.eval()
    assert model.mask_modalities(encoded).equal(encoded)


def test_late_fusion_weighs_by_what_each_modality_is_worth(cohort):
    torch.manual_seed(0)
    model = train(KINDS["late"](cohort.spec), cohort, 12)
    assert model.head.weights[0] == 0 > model.head.weights[1]  # RNA tells more than protein
    x = cohort.dataset.x[torch.arange(40)]
    with torch.inference_mode():
        outputs, measured = model.head.each(model.embed(x))
        alone = measured[:, 0] * (1 - measured[:, 1]) > 0
        torch.testing.assert_close(model(x)[alone], outputs[alone, 0], rtol=1e-4, atol=1e-4)


def test_each_modality_is_a_layer_to_look_at(cohort):
    joint, mixed = KINDS["joint"](cohort.spec), KINDS["mixed"](cohort.spec)
    each = [f"body.each.{name}" for name in ("branches.rna", "branches.protein", "joined")]
    assert {*each, "body.fused"} <= set(layers(joint))
    known = layers(mixed)
    assert known["body.encoders.rna"] == known["body.encoders.protein"] == known["body.mean"] == 8


def test_scores_of_all_targets_beside_simple_models(cohort, tmp_path, cheap_report):
    torch.manual_seed(0)
    model, data = train(KINDS["joint"](cohort.spec), cohort, 12), cohort
    evaluation = evaluate(model, data, ("train", "validation"))
    assert evaluation.value("roc_auc", "train") > 0.9
    assert evaluation.value("survival_c_index", "train") > 0.6
    simple = {"logistic regression", "late logistic regression", "random forest", "Cox regression", "Kaplan-Meier"}
    assert simple <= set(evaluation.scores["model"])
    for metric in ("roc_auc", "survival_c_index"):
        low, here, high = (evaluation.value(metric + end, "validation") for end in ("_low", "", "_high"))
        assert 0 <= low <= here <= high <= 1
        for name in ("rna", "protein"):
            assert evaluation.value(f"{metric} without {name}", "validation") >= 0
            assert evaluation.value(f"{metric} with {name} alone", "validation") >= 0
    alone, without = (evaluation.value(f"roc_auc {how}", "validation") for how in ("with rna alone", "without rna"))
    assert alone > without
    written = {path.stem for path in write_figures(evaluation, "cohort", tmp_path)}
    assert written >= {"roc", "modalities", "survival_kaplan_meier"}


def test_a_run_is_exported_and_loaded_again(here, cheap_report):
    write_cohort()
    options = ["--config", "joint_miniacc", "--data.path", "samples.csv", "--data.target", "group"]
    options += ["--data.modalities", '{"rna": "rna.csv", "protein": "protein.csv"}', "--data.positive", "ill"]
    options += ["--data.also", '{"survival": {"target": "days", "event": "died"}}']
    main(["fit", *options, "--trainer.max_epochs=2", "--trainer.accelerator=cpu"])
    (run,) = Path("runs").glob("*/1")
    main(["test", "--config", str(run)])
    main(["export", str(run), "--to", "weights"])
    model, tables = zoo.load("weights"), read_cohort().frame()
    main(["predict", "--config", str(run), *options[2:], "--output", "p.csv"])
    written = pd.read_csv("p.csv", index_col="patient")
    expected = model.predict(tables)
    pd.testing.assert_frame_equal(written, expected.loc[written.index], check_names=False, check_dtype=False, rtol=1e-4)
    assert "roc_auc without rna" in (Path("weights") / "README.md").read_text(encoding="utf-8")


def test_a_branch_reads_what_the_encoding_of_its_modality_gives(cohort, frame):
    frame.loc[::3, ["age", "dose"]] = np.nan
    frame.assign(patient=[f"p{number}" for number in range(len(frame))]).to_csv("table.csv", index=False)
    tables = {"rna": "rna.csv", "clinic": {"path": "table.csv", "kind": "table", "features": ["age", "dose"]}}
    data = MultiOmicsData("samples.csv", tables, target="group")
    model = MultiModal(spec=data.spec, encoding={"clinic": {"missing_indicator": True}})
    model.fit_encoders(data.training_inputs(), data.training_targets())
    assert model.encode.shapes["clinic"] == (4,)
    assert model.predict(data.frame())["prediction"].notna().all()


def test_extra_continuous_targets_are_standardised_by_a_fit(here, cheap_report):
    write_cohort()
    options = ["--data.path=samples.csv", "--data.target=group", "--data.positive=ill"]
    options += ["--data.modalities", '{"rna": "rna.csv", "protein": "protein.csv"}']
    options += ["--data.also", '{"time": {"target": "days"}}', "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    run = zoo.fit("joint_miniacc", *options)
    days = run.data.dataset.also["time"][run.data.dataset.rows("train")]
    head = run.model.target_heads["time"]
    assert head.mean.item() == pytest.approx(days[days.isfinite()].mean().item(), rel=1e-5)
    assert head.scale.item() == pytest.approx(days[days.isfinite()].std(correction=0).item(), rel=1e-5)


def test_what_cannot_be_built_says_why(cohort, frame, message):
    assert "for mixed fusion use the model CustOmics" in message(lambda: MultiModal(spec=cohort.spec, fusion="mixed"))
    assert "did you mean rna" in message(lambda: MultiModal(spec=cohort.spec, branches={"rnaa": {}}))
    assert "'LSTM' is not a model that predicts" in message(
        lambda: MultiModal(spec=cohort.spec, branches={"rna": {"model": "LSTM"}})
    )
    assert "early fusion has no branches" in message(
        lambda: MultiModal(spec=cohort.spec, fusion="early", branches={"rna": {}})
    )
    frame.to_csv("table.csv", index=False)
    table = TableData("table.csv", target="outcome", id="patient")
    assert "MultiModal is not available for table data; it is for multi-modality data" in message(
        lambda: MultiModal(spec=table.spec)
    )
    assert "predicts one target" in message(lambda: zoo.models.MLP(spec=cohort.spec))
    assert "VAE is not available for multi-modality data; it is for single-modality data" in message(
        lambda: VAE(spec=cohort.spec)
    )


def test_explain_writes_features_and_modalities(here):
    write_cohort()
    options = ["--config", "joint_miniacc", "--data.path", "samples.csv", "--data.target", "group"]
    options += ["--data.modalities", '{"rna": "rna.csv", "protein": "protein.csv"}', "--data.also", "null"]
    main(["fit", *options, "--trainer.max_epochs=12", "--model.lr=0.01", "--trainer.accelerator=cpu"])
    main(["explain", "runs/joint_miniacc/1"])
    folder = Path("runs/joint_miniacc/1/explanation")
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{end}" for name in ("features", "modalities") for end in ("csv", "png")
    }
    features = pd.read_csv(folder / "features.csv")
    assert features["feature"][:3].isin([f"rna:rna{number}" for number in range(5)]).all()  # that tell the group
    modalities = pd.read_csv(folder / "modalities.csv", index_col="modality")
    assert modalities["permutation"].idxmax() == "rna"


def test_class_weights_act_on_the_first_target_only(cohort):
    model = MultiModal(spec=cohort.spec, target_weight=0.0)
    model.fit_encoders(cohort.training_inputs(), cohort.training_targets())
    rows = torch.arange(30)
    batch = {"x": cohort.dataset.x[rows], **cohort.dataset.targets(rows)}
    plain, weighted = (model.eval().loss({**batch, "weight": torch.full((30,), w)}) for w in (1.0, 5.0))
    assert plain > 0  # of the extra target
    torch.testing.assert_close(weighted, plain)
