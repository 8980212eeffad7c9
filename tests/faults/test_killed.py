"""A run killed in the middle of training goes on from its checkpoint and ends with the same bits."""

import time

TARGET = "results/demo/fold-0/ssl/first/model.safetensors"


def test_a_killed_pretraining_goes_on_and_ends_with_the_same_bits(checkout):
    long = {"pretraining_schedule": {"steps": 400, "checkpoint_steps": 25, "report_steps": 20}}
    model, checkpoints = checkout.folder / TARGET, checkout.folder / "results/demo/fold-0/ssl/first.checkpoints"

    process = checkout.start("--", TARGET, **long)
    deadline = time.monotonic() + 300
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    checkout.kill(process)
    assert not model.exists()

    assert checkout.run("--unlock", **long)[0] == 0
    code, printed = checkout.run("--", TARGET, **long)
    assert code == 0, printed
    assert "pretrain first fold-0: going on from step" in printed
    resumed = model.read_bytes(), (model.parent / "history.csv").read_bytes()
    assert not checkpoints.exists()

    model.unlink()
    code, printed = checkout.run("--", TARGET, **long)
    assert code == 0 and "going on" not in printed
    assert (model.read_bytes(), (model.parent / "history.csv").read_bytes()) == resumed
