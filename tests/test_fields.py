"""The parts of a recipe: what each takes, and what it refuses."""

import pytest
from pydantic import ValidationError

from gansmith.fields import Augmentation, Data, Ema, Network, Optimizer, Part, Penalty, Phase
from gansmith.schedule import Adaptive, Ramp


def test_a_bare_name_is_a_part_or_a_network():
    assert Part.model_validate("hinge") == Part(name="hinge")
    assert Network.model_validate("mlp") == Network(network="mlp")


def test_other_fields_are_the_constructors_arguments_and_numbers_that_yaml_took_for_text():
    part = Part.model_validate({"name": "wasserstein", "scale": "2e-4", "word": "e-4"})
    assert part.arguments == {"scale": 2e-4, "word": "e-4"}
    assert Penalty.model_validate({"weight": 1, "target": 2}).arguments == {"target": 2}


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (Optimizer, {"lr": -1}, "must not be negative"),
        (Optimizer, {"betas": [0, 1]}, "in \\[0, 1\\)"),
        (Augmentation, {"probability": 1.5}, "in \\[0, 1\\]"),
        (Ema, {"half_life": 1, "share": 0.1}, "not both"),
        (Phase, {"name": "a", "until": 0}, "greater than 0"),
        (Data, {"sauce": "x"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(kind, fields, said):
    with pytest.raises(ValidationError, match=said):
        kind.model_validate(fields)


def test_a_probability_is_a_number_a_ramp_or_a_target():
    assert Augmentation.model_validate({"probability": 0.5}).probability == 0.5
    ramp = Augmentation.model_validate({"probability": {"start": 0, "end": 1}}).probability
    assert isinstance(ramp, Ramp)
    assert isinstance(Augmentation.model_validate({"probability": {"target": 0.6}}).probability, Adaptive)
