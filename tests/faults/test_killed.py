"""A run killed in the middle of training goes on from its checkpoint and ends with the same bits."""

import time

import pytest


@pytest.mark.parametrize(
    ("name", "steps"),
    [("first", 400), ("intense-spans", 60), ("intense-surroundings", 60)],  # HuBERT, MockingJay, NPC
)
def test_a_killed_pretraining_goes_on_and_ends_with_the_same_bits(checkout, name, steps):
    schedule = {"steps": steps, "checkpoint_steps": steps // 16, "report_steps": steps // 20}
    long = {"pretraining": {name: {"schedule": schedule}}}
    target = f"results/demo/fold-0/seed-0/ssl/{name}/model.safetensors"
    model = checkout.folder / target
    checkpoints = model.parent.with_name(f"{name}.checkpoints")

    process = checkout.start("--", target, **long)
    deadline = time.monotonic() + 300
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    checkout.kill(process)
    assert not model.exists()

    assert checkout.run("--unlock", **long)[0] == 0
    code, printed = checkout.run("--", target, **long)
    assert code == 0, printed
    assert f"pretrain {name} fold-0 seed 0: going on from step" in printed
    resumed = model.read_bytes(), (model.parent / "history.csv").read_bytes()
    assert not checkpoints.exists()

    model.unlink()
    code, printed = checkout.run("--", target, **long)
    assert code == 0 and "going on" not in printed
    assert (model.read_bytes(), (model.parent / "history.csv").read_bytes()) == resumed
