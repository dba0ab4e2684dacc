"""Networks, losses, optimisers, metrics."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from sklearn import metrics as sk
from torch import nn

from zoo.data import TableData
from zoo.errors import InputError
from zoo.models import MLP, REGISTRY, Model, Perceptron
from zoo.models.layers import ACTIVATIONS
from zoo.spec import Spec, Target
from zoo.training.tasks import TASKS

QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
}


def spec_of(kind: str, features: int = 4) -> Spec:
    classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": []}[kind]
    modality = {"kind": "table", "shape": [features], "features": [f"f{i}" for i in range(features)]}
    return Spec(modalities={"table": modality}, target=Target(kind=kind, name="t", classes=classes, unit=""), id="")


def batch_of(kind: str, rows: int = 8) -> dict[str, torch.Tensor]:
    y = {"binary": torch.arange(rows) % 2, "multiclass": torch.arange(rows) % 3, "regression": torch.randn(rows)}[kind]
    return {"x": torch.randn(rows, 4), "y": y, "row": torch.arange(rows)}


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "maxout"])
@pytest.mark.parametrize("normalisation", ["none", "batch", "layer"])
def test_mlp_learns_with_every_activation(activation: str, normalisation: str) -> None:
    model = MLP(
        spec=spec_of("multiclass"), hidden=[6, 5], activation=activation, normalisation=normalisation, dropout=0.1
    )
    batch = batch_of("multiclass")
    assert model(batch["x"]).shape == (8, 3)
    assert model.embed(batch["x"]).shape == (8, 5)
    model.loss(batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_output_nodes_by_target() -> None:
    assert MLP(spec=spec_of("binary")).head.out_features == 1  # ONE logistic unit
    assert MLP(spec=spec_of("multiclass")).head.out_features == 3
    assert MLP(spec=spec_of("regression")).head.out_features == 1
    assert isinstance(MLP(spec=spec_of("binary"), hidden=[]).body, nn.Sequential)
    assert len(MLP(spec=spec_of("binary"), hidden=[]).body) == 0  # logistic regression


def test_batch_norm_trains_on_a_single_row() -> None:
    model = MLP(spec=spec_of("binary"), normalisation="batch").train()
    assert model.loss(batch_of("binary", 1)).isfinite()


CASES = [(kind, name) for kind in ("binary", "multiclass", "regression") for name in TASKS[kind].losses]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_losses_are_one_value_a_row(kind: str, name: str) -> None:
    batch = batch_of(kind)
    output = torch.randn(8, 3 if kind == "multiclass" else 1)
    assert TASKS[kind].loss(name)(output, batch["y"]).shape == (8,)


def test_focal_loss_is_small_for_what_is_already_right() -> None:
    output, y = torch.tensor([[4.0], [0.0]]), torch.tensor([1, 1])
    easy, hard = (TASKS["binary"].losses["focal"](output, y) / TASKS["binary"].losses["bce"](output, y)).tolist()
    assert easy == pytest.approx((1 - 1 / (1 + np.exp(-4))) ** 2, rel=1e-4)
    assert hard == pytest.approx(0.25)


def test_class_weights_enter_the_loss() -> None:
    model, batch = MLP(spec=spec_of("binary")), batch_of("binary")
    weighted = model.loss({**batch, "weight": torch.where(batch["y"] == 1, 2.0, 0.0)})
    ones = {key: value[batch["y"] == 1] for key, value in batch.items()}
    torch.testing.assert_close(weighted, model.loss(ones))


def test_penalties_are_on_weights_not_biases() -> None:
    model = MLP(spec=spec_of("binary"), hidden=[], l1=0.5, l2=0.25)
    with torch.no_grad():
        model.head.weight.fill_(-2.0)
        model.head.bias.fill_(100.0)
    assert model.penalty().item() == pytest.approx(0.5 * 8 + 0.25 * 16)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "reduce_on_plateau", "one_cycle"])
def test_every_optimiser_with_every_schedule(optimizer: str, schedule: str, pima: TableData) -> None:
    model = MLP(spec=pima.spec, hidden=[4], optimizer=optimizer, schedule=schedule, schedule_epochs=1)
    trainer = Trainer(max_epochs=2, limit_train_batches=2, limit_val_batches=1, num_sanity_val_steps=0, **QUIET)
    before = model.head.weight.clone()
    trainer.fit(model, pima)
    assert not model.head.weight.equal(before)
    assert type(trainer.optimizers[0]).__name__.lower() == optimizer
    lr = trainer.optimizers[0].param_groups[0]["lr"]
    assert (lr < 1e-3) == (schedule in ("step", "cosine", "one_cycle"))


def test_statistics_come_from_training_rows_only(pima: TableData) -> None:
    model = MLP(spec=pima.spec)
    Trainer(max_steps=1, limit_val_batches=0, **QUIET).fit(model, pima)
    expected = pima.dataset.x[pima.dataset.rows("train")].double().nanmean(0)
    torch.testing.assert_close(model.encode.mean, expected.float())
    model.encode.mean.fill_(7.0)  # as if loaded: trained statistics are kept
    Trainer(max_steps=1, limit_val_batches=0, **QUIET).fit(model, pima)
    assert model.encode.mean.eq(7).all()


def test_not_finite_loss_stops_with_a_clear_line(pima: TableData, tmp_path: Path) -> None:
    model = MLP(spec=pima.spec, optimizer="sgd", lr=1e30)
    with pytest.raises(InputError, match=r"not finite in epoch \d+: lower lr"):
        Trainer(max_epochs=3, **QUIET).fit(model, pima)


def test_not_finite_weights_after_the_last_step_are_noticed_before_a_checkpoint(pima: TableData) -> None:
    class Broken(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            if batch_idx == trainer.num_training_batches - 1:
                with torch.no_grad():
                    pl_module.head.weight.fill_(torch.nan)

    saved = []

    class Watch(Checkpoint):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            saved.append(trainer.current_epoch)

    with pytest.raises(InputError, match="validation loss is not finite in epoch 0"):
        Trainer(max_epochs=3, callbacks=[Broken(), Watch()], **{**QUIET, "enable_checkpointing": True}).fit(
            MLP(spec=pima.spec, hidden=[4]), pima
        )
    assert saved == []


@pytest.mark.parametrize("step", ["heaviside", "sign"])
def test_perceptron_rule(step: str) -> None:
    """One step of SGD is Rosenblatt's update, written out by hand."""
    torch.manual_seed(0)
    model, batch = Perceptron(spec=spec_of("binary"), step=step, lr=0.1), batch_of("binary")
    low = 0.0 if step == "heaviside" else -1.0
    w, b = model.head.weight[0].detach().clone(), model.head.bias.detach().clone()
    for rows in range(8):
        one = {key: value[rows : rows + 1] for key, value in batch.items()}
        x, y = one["x"][0], 1.0 if one["y"][0] == 1 else low
        answer = 1.0 if float(w @ x + b) >= 0 else low
        w, b = w + 0.1 * (y - answer) * x, b + 0.1 * (y - answer)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        optimiser.zero_grad()
        model.loss(one).backward()
        optimiser.step()
    torch.testing.assert_close(model.head.weight[0], w)
    torch.testing.assert_close(model.head.bias, b)


@pytest.mark.parametrize("step", ["heaviside", "sign"])
def test_delta_rule_is_least_squares_about_the_threshold(step: str) -> None:
    model, batch = Perceptron(spec=spec_of("binary"), step=step, rule="delta"), batch_of("binary")
    z, truth = model(batch["x"]).squeeze(1), batch["y"] * 2.0 - 1
    torch.testing.assert_close(model.loss(batch), ((truth - z) ** 2 / 2).mean())
    assert set(model.predict_from(model(batch["x"])).unique().tolist()) <= {0.0, 1.0}


def test_perceptron_separates_what_is_separable() -> None:
    torch.manual_seed(0)
    model = Perceptron(spec=spec_of("binary", 2), lr=0.1)
    x = torch.randn(100, 2)
    y = (x[:, 0] - 2 * x[:, 1] > 0).long()
    x += 0.1 * torch.stack([y * 2 - 1, 1 - 2 * y], 1)  # a margin
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        for i in range(100):
            optimiser.zero_grad()
            model.loss({"x": x[i : i + 1], "y": y[i : i + 1]}).backward()
            optimiser.step()
    assert (model.predict_from(model(x)).argmax(1) == y).all()


def test_registry_refuses_a_second_model_of_a_name() -> None:
    assert REGISTRY["MLP"] is MLP
    with pytest.raises(TypeError, match="two models are called MLP"):
        type("MLP", (Model,), {})


def test_hyperparameters_rebuild_the_model(mlp: MLP) -> None:
    assert MLP(**mlp.init_args).state_dict().keys() == mlp.state_dict().keys()
    assert mlp.init_args["hidden"] == [16, 8]
    assert Perceptron(**Perceptron(spec=mlp.spec, rule="delta").init_args).rule == "delta"


def scores(answer: torch.Tensor, y: torch.Tensor, target: Target) -> dict[str, float]:
    return TASKS[target["kind"]].scores(answer, y, target, y)


def test_binary_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 200), rng.random(200).astype(np.float32)
    prediction = torch.tensor(np.stack([1 - p, p], 1))
    found = scores(prediction, torch.tensor(y), spec_of("binary")["target"])
    guess = p > 0.5
    expected = {
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "precision": sk.precision_score(y, guess),
        "sensitivity": sk.recall_score(y, guess),
        "specificity": sk.recall_score(y, guess, pos_label=0),
        "f1": sk.f1_score(y, guess),
        "mcc": sk.matthews_corrcoef(y, guess),
        "roc_auc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "brier": sk.brier_score_loss(y, p),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert 0 < found["calibration_error"] < 1


def test_multiclass_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 200), rng.dirichlet([1, 1, 1], 200)
    found = scores(torch.tensor(p), torch.tensor(y), spec_of("multiclass")["target"])
    guess = p.argmax(1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, guess))
    assert found["f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(y, guess), abs=1e-5)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # of scikit-learn, on one class
def test_scores_of_degenerate_splits_agree_with_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(classes), 40), rng.integers(0, classes, 40)
    constant, first = np.tile(np.eye(classes)[0] * 0.4 + 0.6 / classes, (40, 1)), np.zeros(40, int)
    tied = np.round(p * 4) + 1e-9
    splits = {
        "one class predicted": (constant, y),
        "one class predicted of a rare other": (constant, np.r_[first[1:], 1]),
        "one class present": (p, first),
        "one class present and predicted": (constant, first),
        "another class predicted": (constant, first + 1),
        "one class lacks": (p[y > 0], y[y > 0]),
        "ties": (tied / tied.sum(1, keepdims=True), y),
        "equal probabilities": (np.full((40, classes), 1 / classes), y),
        "one row": (p[:1], y[:1]),
    }
    target = spec_of("binary" if classes == 2 else "multiclass")["target"]
    for name, (prediction, truth) in splits.items():
        found = scores(torch.tensor(prediction), torch.tensor(truth), target)
        guess = prediction.argmax(1)
        average: dict[str, object] = {"average": "binary" if classes == 2 else "macro", "zero_division": 0}
        expected = {
            "accuracy": sk.accuracy_score(truth, guess),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, guess),
            "precision": sk.precision_score(truth, guess, **average),
            "sensitivity": sk.recall_score(truth, guess, **average),
            "f1": sk.f1_score(truth, guess, **average),
            "mcc": sk.matthews_corrcoef(truth, guess),
            "roc_auc": np.nan,
            "average_precision": np.nan,
        }
        if classes == 2:
            expected["specificity"] = sk.recall_score(truth, guess, pos_label=0, zero_division=0)
        if len(np.unique(truth)) == classes:
            ranked = prediction[:, 1] if classes == 2 else prediction
            expected["roc_auc"] = sk.roc_auc_score(truth, ranked, multi_class="ovr")
            onehot = truth if classes == 2 else np.eye(classes)[truth]
            expected["average_precision"] = sk.average_precision_score(onehot, ranked)
        assert {m: found[m] for m in expected} == pytest.approx(expected, abs=1e-5, nan_ok=True), name


def test_regression_scores_and_undefined_ones() -> None:
    y, p = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.5, 2.75])
    found = scores(p, y, spec_of("regression")["target"])
    assert found["r2"] == pytest.approx(sk.r2_score(y, p))
    assert found["spearman"] == pytest.approx(1, abs=1e-5)
    assert np.isnan(scores(p[:1], y[:1], spec_of("regression")["target"])["r2"])
    one_class = scores(torch.tensor([[0.2, 0.8]]), torch.tensor([1]), spec_of("binary")["target"])
    assert one_class["accuracy"] == 1
    assert np.isnan(one_class["roc_auc"])


def test_a_continuous_target_is_standardised_and_predicted_in_its_unit() -> None:
    model, y = MLP(spec=spec_of("regression"), hidden=[]), torch.tensor([100.0, 300.0, 200.0])
    model.fit_encoders(torch.randn(3, 4), y)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.fill_(1.0)
    predicted = model.predict_from(model(torch.randn(2, 4)))
    torch.testing.assert_close(predicted, (y.mean() + y.std(correction=0)).repeat(2))
    torch.testing.assert_close(
        model.target_head.task.standardised(model.target_head, y), (y - 200) / y.std(correction=0)
    )


def test_perceptron_flattens_one_hot_dna() -> None:
    spec = spec_of("binary")
    spec["modalities"] = {"sequence": {"kind": "sequence", "shape": [10], "features": ["sequence"]}}
    model = Perceptron(spec=spec)
    assert model(model.encode.example(3)).shape == (3, 1)
