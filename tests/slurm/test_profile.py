"""The profile that ships loads where Snakemake knows SLURM."""

import pytest


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_the_profile_of_a_cluster_loads(checkout, option):
    code, printed = checkout.run("--dry-run", "--quiet", "rules", option, "profiles/slurm")
    assert code == 0, printed
    assert "finetune" in printed and "This was a dry-run" in printed
