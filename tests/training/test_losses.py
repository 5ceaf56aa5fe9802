"""Losses agree with sums by hand, in extreme cases, and in the limit of high temperature."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr
from scipy.special import softmax as probabilities

from disobey.errors import UserError
from disobey.training.losses import loss, losses
from disobey.training.objective import Targets, build_objective
from disobey.training.teachers import StoredLogits

TEMPERATURES = (0.05, 1.0, 1e3)


def batch(examples=6, classes=5, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    student = (scale * torch.randn(examples, classes, generator=generator)).requires_grad_()
    teacher = scale * torch.randn(examples, classes, generator=generator)
    label = torch.randint(classes, (examples,), generator=generator)
    return student, teacher, label


def objective(teacher, label, recipe=None, **distill):
    """Return the objective of a student, of all examples at once."""
    spec = {"recipe": recipe or {}, "distill": {"weight": 1.0} | distill}
    found = build_objective(spec, Targets(label, StoredLogits(teacher)))
    return lambda student: found(student, torch.arange(len(label)), 0)


def distillation(student, teacher, label, temperature, weight):
    return objective(teacher, label, temperature=temperature, weight=weight)(student)


def one_hot(student, label, smoothing=0.0, temperature=1.0):
    recipe = {"label_smoothing": smoothing, "one_hot_temperature": temperature}
    found = build_objective({"recipe": recipe}, Targets(label))
    return found(student, torch.arange(len(label)), 0)


def softmax(z):
    powers = [np.exp(v - max(z)) for v in z]
    return [v / sum(powers) for v in powers]


def by_hand(student, teacher, label, temperature, weight):
    """(1 - w) CE(y, p_st) + w T^2 KL(p_te^(T) || p_st^(T)), one example after another."""
    total = 0.0
    rows = student.detach().double().numpy(), teacher.double().numpy(), label.numpy()
    for s, t, y in zip(*rows, strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        kl = sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True))
        total += (1 - weight) * -np.log(softmax(s)[y]) + weight * temperature**2 * kl
    return total / len(student)


def gradient(student, *rest):
    student.grad = None
    distillation(student, *rest).backward()
    return student.grad.clone()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 16.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9, 1.0])
def test_distillation_equals_the_sum_by_hand(temperature, weight):
    student, teacher, label = batch()
    found = distillation(student, teacher, label, temperature, weight)
    expected = by_hand(student, teacher, label, temperature, weight)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_gradient_equals_the_formula():
    """d loss / d z = [(1 - w) (p - y) + w T (p_st^(T) - p_te^(T))] / batch."""
    student, teacher, label = batch()
    temperature, weight = 3.0, 0.7
    p, q, r = (
        torch.softmax(z.detach().double(), 1)
        for z in (student, student / temperature, teacher / temperature)
    )
    one = torch.nn.functional.one_hot(label, 5)
    expected = ((1 - weight) * (p - one) + weight * temperature * (q - r)) / 6
    found = gradient(student, teacher, label, temperature, weight)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", [0.4, 1.0])
def test_a_duplicated_batch_has_the_same_loss(weight):
    student, teacher, label = batch()
    twice = distillation(*(torch.cat([x, x]) for x in (student, teacher, label)), 4.0, weight)
    once = distillation(student, teacher, label, 4.0, weight)
    assert twice.item() == pytest.approx(once.item(), rel=1e-6)
    assert one_hot(torch.cat([student, student]), torch.cat([label, label])).item() == (
        pytest.approx(one_hot(student, label).item(), rel=1e-6)
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_student_that_equals_its_teacher_has_no_loss_and_no_gradient(temperature):
    student, teacher, label = batch(classes=20)
    other = gradient(student, teacher, label, temperature, 1.0).norm()
    same = student.detach()
    assert float(distillation(student, same, label, temperature, 1.0)) == 0
    # T times the rounding error of a sum of probabilities in float32.
    assert gradient(student, same, label, temperature, 1.0).norm() < 1e-4 * other


def test_a_shift_of_the_student_s_logits_changes_nothing():
    student, teacher, label = batch()
    shifted = distillation(student + 3, teacher - 5, label, 4.0, 1.0)
    assert float(shifted) == pytest.approx(
        float(distillation(student, teacher, label, 4.0, 1.0)), rel=1e-4
    )


def test_gradient_tends_to_a_constant_as_temperature_grows():
    """To that of half the mean squared difference of centred logits, over the class count."""
    student, teacher, label = batch()
    difference = (student - teacher).detach()
    limit = (difference - difference.mean(1, keepdim=True)) / (5 * 6)
    for temperature in (100.0, 1000.0):
        found = gradient(student, teacher, label, temperature, 1.0)
        assert (found - limit).norm() < 0.05 * limit.norm()


def test_temperature_softens_both_sides():
    """A student T times as sharp as its teacher agrees with it only where one side is softened."""
    student, _, label = batch()
    for teacher in (student.detach() * 4, student.detach() / 4):
        assert float(distillation(student, teacher, label, 4.0, 1.0)) > 0.05
    scaled = distillation(4 * student, 4 * student.detach() + 4, label, 4.0, 1.0)
    assert float(scaled) == pytest.approx(0, abs=1e-5)


def test_without_weight_only_the_label_counts():
    student, teacher, label = batch()
    found = distillation(student, teacher, label, 4.0, 0.0)
    rows = zip(student.detach().double().numpy(), label.numpy(), strict=True)
    expected = -np.mean([np.log(softmax(z)[y]) for z, y in rows])
    assert float(found) == pytest.approx(expected, rel=1e-5)
    other = distillation(student, -teacher, label, 2.0, 0.0)
    assert float(other) == float(found)


def test_with_full_weight_the_label_does_not_count():
    student, teacher, label = batch()
    first = distillation(student, teacher, label, 4.0, 1.0)
    assert float(first) == float(distillation(student, teacher, (label + 1) % 5, 4.0, 1.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 16.0, 1e3])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_extreme_logits_give_a_finite_loss_and_gradient(dtype, temperature, weight):
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, 0.0]], dtype=dtype)
    teacher = student.flip(1).clone()
    student.requires_grad_()
    label = torch.tensor([1, 0, 2])
    loss = distillation(student, teacher, label, temperature, weight)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()
    assert float(loss) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_and_labels(dtype):
    student = torch.tensor([[1e4, -1e4, 0.0]], dtype=dtype, requires_grad=True)
    loss = one_hot(student, torch.tensor([1]))
    loss.backward()
    assert float(loss) == pytest.approx(2e4, rel=1e-2)
    assert torch.isfinite(student.grad).all()


def test_one_hot_equals_the_sum_by_hand_with_smoothing():
    student, _, label = batch()
    for smoothing in (0.0, 0.1):
        total = 0.0
        for z, y in zip(student.detach().double().numpy(), label.numpy(), strict=True):
            log_p = np.log(softmax(z))
            total -= (1 - smoothing) * log_p[y] + smoothing * log_p.mean()
        found = one_hot(student, label, smoothing)
        assert float(found) == pytest.approx(total / 6, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_at_a_temperature_equals_the_sum_by_hand(temperature, smoothing):
    """T^2 CE(label, softmax(z / T)): of a recipe, and of the label's term of a student."""
    student, teacher, label = batch()
    total = 0.0
    for z, y in zip(student.detach().double().numpy(), label.numpy(), strict=True):
        log_p = np.log(softmax(z / temperature))
        total -= (1 - smoothing) * log_p[y] + smoothing * log_p.mean()
    expected = temperature**2 * total / 6
    assert float(one_hot(student, label, smoothing, temperature)) == pytest.approx(expected, 1e-5)
    recipe = {"label_smoothing": smoothing, "one_hot_temperature": temperature}
    for weight in (0.0, 0.3, 1.0):
        found = objective(teacher, label, recipe, temperature=2.0, weight=weight)(student)
        both = (1 - weight) * expected + weight * by_hand(student, teacher, label, 2.0, 1.0)
        assert found.item() == pytest.approx(both, rel=1e-4)


def test_the_gradient_of_one_hot_at_a_temperature_tends_to_that_of_softened_logits():
    """As T grows it is T (1 / K - y) / batch, the label's own pull: no limit, unlike KL's."""
    student, _, label = batch()
    temperature = 1e4
    one_hot(student, label, 0.0, temperature).backward()
    expected = temperature * (1 / 5 - torch.nn.functional.one_hot(label, 5)) / 6
    torch.testing.assert_close(student.grad, expected, rtol=1e-3, atol=1.0)


@pytest.mark.parametrize("temperature", [0.05, 16.0, 1e3])
def test_one_hot_at_a_temperature_is_finite_at_extreme_logits(temperature):
    student = torch.tensor([[1e4, -1e4, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = one_hot(student, torch.tensor([1]), 0.0, temperature)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss) and torch.isfinite(student.grad).all()


def test_an_objective_pairs_each_example_with_its_own_teacher_row():
    student, teacher, label = batch(examples=8)
    index = torch.tensor([5, 0, 3])
    targets = Targets(label, StoredLogits(teacher))
    spec = {"distill": {"temperature": 2.0, "weight": 0.6}, "recipe": {}}
    found = build_objective(spec, targets)(student[index], index, 0)
    expected = by_hand(student[index], teacher[index], label[index], 2.0, 0.6)
    assert found.item() == pytest.approx(expected, rel=1e-4)
    spec = {"recipe": {"label_smoothing": 0.1}}
    found = build_objective(spec, targets)(student[index], index, 0)
    assert float(found) == pytest.approx(float(one_hot(student[index], label[index], 0.1)))


def test_distillation_without_a_teacher_is_refused():
    spec = {"distill": {"temperature": 1.0, "weight": 1.0}, "recipe": {}}
    with pytest.raises(ValueError, match="teacher"):
        build_objective(spec, Targets(torch.zeros(2, dtype=torch.int64)))


# --- every registered loss ---------------------------------------------------------------------


def kl(p, q):
    return rel_entr(p, q).sum(1)


def jensen_shannon(s, t, T):
    p, q = probabilities(s / T, 1), probabilities(t / T, 1)
    return T**2 * (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


def dkd(s, t, y, T, alpha, beta):
    total = []
    for row_s, row_t, own in zip(s, t, y, strict=True):
        p, q = probabilities(row_t / T), probabilities(row_s / T)
        two = [np.array([[v[own], 1 - v[own]]]) for v in (p, q)]
        rest = [np.delete(v, own)[None] / (1 - v[own]) for v in (p, q)]
        total.append(T**2 * (alpha * kl(*two) + beta * kl(*rest))[0])
    return np.array(total)


def scores(z):
    return (z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True)


# Of each loss: parameters below ``distill``, and the same by numpy and scipy in float64.
BY_FORMULA = {
    "kl": (
        {"temperature": 3.0},
        lambda s, t, y: 9 * kl(probabilities(t / 3, 1), probabilities(s / 3, 1)),
    ),
    "cross_entropy": (
        {"temperature": 3.0},
        lambda s, t, y: -(probabilities(t / 3, 1) * log_softmax(s / 3, 1)).sum(1),
    ),
    "reverse_kl": (
        {"temperature": 3.0},
        lambda s, t, y: 9 * kl(probabilities(s / 3, 1), probabilities(t / 3, 1)),
    ),
    "jensen_shannon": ({"temperature": 3.0}, lambda s, t, y: jensen_shannon(s, t, 3)),
    "squared_error": ({}, lambda s, t, y: (s - t).var(1) / 2),
    "dkd": (
        {"temperature": 3.0, "alpha": 0.7, "beta": 2.5},
        lambda s, t, y: dkd(s, t, y, 3.0, 0.7, 2.5),
    ),
    "standardised": (
        {"temperature": 3.0},
        lambda s, t, y: 9 * kl(probabilities(scores(t) / 3, 1), probabilities(scores(s) / 3, 1)),
    ),
    "label_smoothing": ({}, lambda s, t, y: -log_softmax(s, 1).mean(1)),
    "confidence_penalty": (
        {},
        lambda s, t, y: (probabilities(s, 1) * log_softmax(s, 1)).sum(1),
    ),
}


def test_every_loss_is_tested():
    assert list(BY_FORMULA) == list(losses())


@pytest.mark.parametrize("name", BY_FORMULA)
def test_a_loss_and_its_gradient_equal_the_formula(name):
    parameters, formula = BY_FORMULA[name]
    student, teacher, label = batch(examples=5, classes=6)
    found = objective(teacher, label, loss=name, **parameters)(student)
    found.backward()
    rows = student.detach().double().numpy(), teacher.double().numpy(), label.numpy()
    assert found.item() == pytest.approx(formula(*rows).mean(), rel=1e-5)
    step, slope = 1e-5, np.zeros((5, 6))
    for place in np.ndindex(5, 6):
        up, down = (rows[0].copy() for _ in range(2))
        up[place] += step
        down[place] -= step
        slope[place] = (formula(up, *rows[1:]) - formula(down, *rows[1:])).mean() / (2 * step)
    np.testing.assert_allclose(student.grad.numpy(), slope, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 16.0, 1e3])
@pytest.mark.parametrize("name", BY_FORMULA)
def test_every_loss_is_finite_at_extreme_logits(name, temperature, dtype):
    parameters = {
        k: temperature if k == "temperature" else v for k, v in BY_FORMULA[name][0].items()
    }
    student = torch.tensor(
        [[1e4, -1e4, 0, 5], [-1e4, 1e4, 1e4, 1e4], [0, 0, 0, 0], [3, 1, -1e4, 2]], dtype=dtype
    ).requires_grad_()
    label = torch.tensor([1, 0, 2, 2])
    for teacher in (student.detach().flip(1).float(), student.detach().float(), torch.zeros(4, 4)):
        student.grad = None
        found = objective(teacher, label, loss=name, weight=0.5, **parameters)(student)
        found.backward()
        assert found.dtype == torch.float32
        assert torch.isfinite(found) and torch.isfinite(student.grad).all()


@pytest.mark.parametrize("masks", ["teacher", "both"])
@pytest.mark.parametrize("name", BY_FORMULA)
def test_a_class_masked_by_minus_infinity_is_as_if_it_were_not_there(name, masks):
    """Where only the teacher masks it, student's mass there counts in losses that have it."""
    student, teacher, label = batch(examples=5, classes=6)
    label = label.clamp(max=4)
    teacher[:, 5] = -math.inf
    student = student.detach()
    if masks == "both":
        student[:, 5] = -math.inf
    student.requires_grad_()
    find = objective(teacher, label, loss=name, **BY_FORMULA[name][0])
    find(student).backward()
    assert torch.isfinite(student.grad).all()
    found = find(student).item()
    assert math.isfinite(found) and abs(found) < 100
    if masks == "both":
        smaller = objective(teacher[:, :5], label, loss=name, **BY_FORMULA[name][0])
        assert found == pytest.approx(smaller(student[:, :5]).item(), rel=1e-5)


@pytest.mark.parametrize("name", [n for n, one in losses().items() if one.needs_teacher])
def test_every_loss_is_least_where_the_student_equals_its_teacher(name):
    student, teacher, label = batch(examples=5, classes=6)
    find = objective(teacher, label, loss=name, **BY_FORMULA[name][0])
    same = teacher.clone().requires_grad_()
    find(same).backward()
    assert same.grad.abs().max() < 1e-5
    assert find(same) < find(student)


def test_squared_error_is_the_limit_of_kl_at_high_temperature():
    student, teacher, label = batch()
    gradients = []
    for name, parameters in (("squared_error", {}), ("kl", {"temperature": 300.0})):
        student = student.detach().requires_grad_()
        objective(teacher, label, loss=name, **parameters)(student).backward()
        gradients.append(student.grad)
    limit, found = gradients
    assert (found - limit).norm() < 0.02 * limit.norm()


def test_label_smoothing_is_that_of_the_recipe():
    student, teacher, label = batch()
    found = objective(teacher, label, loss="label_smoothing", weight=0.1)(student)
    assert found.item() == pytest.approx(one_hot(student, label, 0.1).item(), rel=1e-6)


def test_dkd_of_equal_parts_is_kl():
    """KL = KL(b) + (1 - p_y of the teacher) KL(p without y): the identity behind DKD."""
    student, teacher, label = batch(examples=1)
    rest = 1 - torch.softmax(teacher / 2, 1)[0, label[0]].item()
    parts = objective(teacher, label, loss="dkd", temperature=2.0, alpha=1.0, beta=rest)
    assert parts(student).item() == pytest.approx(
        distillation(student, teacher, label, 2.0, 1.0).item(), rel=1e-5
    )


def test_a_loss_of_too_few_classes_is_refused():
    student, teacher, label = batch(classes=2)
    find = objective(teacher, label, loss="dkd", temperature=2.0, alpha=1.0, beta=8.0)
    with pytest.raises(UserError, match="dkd needs 3 classes"):
        find(student)


def test_a_loss_whose_parameters_cannot_be_read_is_refused():
    words = {"words": "new", "formula": "", "source": ""}
    for wrong in (lambda teacher_logit: 0, lambda student_logit, scale: 0, lambda **all: 0):
        with pytest.raises(TypeError, match="student_logit first"):
            loss("new", **words)(wrong)
    with pytest.raises(TypeError, match="must be new"):
        loss("kl", **words)(lambda student_logit: 0)
    with pytest.raises(TypeError, match="needs the parameter temperature"):
        loss("new", squared_temperature=True, **words)(lambda student_logit: 0)
    assert "new" not in losses()
