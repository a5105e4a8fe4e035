"""Two processes compute the same as one process with all the data; each test starts two processes, with gloo on the CPU."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def run_two(tmp_path, code):
    """The list `found` of each of two processes that run the code, by rank."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nimport torch\nfrom accelerate import Accelerator\nfrom torch import nn\n"
        "torch.set_num_threads(1)\naccelerator = Accelerator(cpu=True)\nrank = accelerator.process_index\n"
        f"{code}\n"
        "open(f'{sys.argv[1]}/{rank}.json', 'w').write(json.dumps(found))\naccelerator.end_training()\n"
    )
    launcher = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launcher, script, tmp_path], check=True, capture_output=True, text=True, timeout=120)
    return [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]


def test_shared_batch_normalisation_is_that_of_the_whole_batch(tmp_path):
    """Each process compares its part of the batch with plain layers on the whole batch; the parts have different sizes."""
    code = """
from posekit.training.distributed import share_statistics

found = []
for layer, shape in ((nn.BatchNorm2d, (8, 3, 4, 5)), (nn.BatchNorm1d, (8, 3))):
    torch.manual_seed(0)
    whole = torch.randn(shape) * 3 + 1
    weight = torch.randn(shape)
    begin, end = [(0, 5), (5, 8)][rank]
    plain = nn.Sequential(layer(3), nn.ReLU(inplace=True))
    shared = nn.Sequential(layer(3), nn.ReLU(inplace=True))
    for layers in (plain, shared):
        nn.init.uniform_(layers[0].weight)
        torch.manual_seed(0)
    share_statistics(shared, accelerator.device)
    shared.load_state_dict(plain.state_dict())
    inputs = whole.clone().requires_grad_(), whole[begin:end].clone().requires_grad_()
    outputs = plain(inputs[0]), shared(inputs[1])
    (outputs[0] * weight).sum().backward()
    (outputs[1] * weight[begin:end]).sum().backward()
    gradients = accelerator.reduce(shared[0].weight.grad), accelerator.reduce(shared[0].bias.grad)
    differences = [outputs[0][begin:end] - outputs[1], inputs[0].grad[begin:end] - inputs[1].grad]
    differences += [plain[0].weight.grad - gradients[0], plain[0].bias.grad - gradients[1]]
    differences += [plain.state_dict()[name] - value for name, value in shared.state_dict().items()]
    plain.eval(), shared.eval()
    differences.append(plain(whole) - shared(whole))
    found += [float(difference.abs().max()) for difference in differences]
"""
    for found in run_two(tmp_path, code):
        assert len(found) == 20
        assert max(found) < 1e-5


def test_losses_are_weighted_by_each_process_s_share(tmp_path):
    """Three labelled joints in one process, one in the other; gradients are averaged as by DistributedDataParallel."""
    code = """
from posekit.training.distributed import mean_over_processes

values = torch.tensor([1.0, 2.0, 3.0, 10.0])
mine = values[:3] if rank == 0 else values[3:]
scale = torch.ones((), requires_grad=True)
loss = mean_over_processes((scale * mine).mean(), torch.tensor(len(mine)), accelerator)
loss.backward()
nothing = mean_over_processes(loss * 0, torch.tensor(0), accelerator)
found = [float(accelerator.reduce(scale.grad, "mean")), float(nothing)]
"""
    assert run_two(tmp_path, code) == [[4.0, 0.0]] * 2
