"""An independent inference engine: xllamacpp, a build of llama.cpp, serves a tiny model of random weights.

As a program it prints its address, and serves a model file until it is killed.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WIDTH = 128
FEED_FORWARD = 512
LAYERS = 4
HEADS = 4
CONTEXT = 512
PARALLEL = 4

CONTROL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
PIECES = (
    "▁",
    *map(chr, range(0x21, 0x7F)),
    *[
        "▁the",
        "▁a",
        "▁and",
        "▁of",
        "▁is",
        "ing",
        "er",
        "on",
        "你",
        "好",
        "我",
        "是",
        "模",
        "型",
        "速",
        "度",
        "的",
        "了",
        "不",
        "一",
        "。",
    ],
)
SILENT = len(CONTROL) + len(BYTES)
"""Number of first tokens that are never the likeliest, so that the model writes whole characters and never stops."""


def make_model(path: Path) -> Path:
    """Write a tiny model of the llama architecture with random weights, which are always the same."""
    import gguf  # noqa: PLC0415 -- the engine's process does not need it
    import numpy as np  # noqa: PLC0415

    generator = np.random.default_rng(7)
    file = gguf.GGUFWriter(path, "llama")
    _describe(file)
    vocabulary = len(CONTROL) + len(BYTES) + len(PIECES)
    output = generator.normal(0, 0.5, (vocabulary, WIDTH))
    output[:SILENT] = 0
    shapes = {"token_embd": (vocabulary, WIDTH)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{part}": (FEED_FORWARD, WIDTH) for part in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (WIDTH, FEED_FORWARD)
    tensors = {name: generator.normal(0, 0.5, shape) for name, shape in shapes.items()} | {"output": output}
    norms = ["output_norm", *(f"blk.{layer}.{part}_norm" for layer in range(LAYERS) for part in ("attn", "ffn"))]
    tensors |= {name: np.ones(WIDTH) for name in norms}
    for name, tensor in tensors.items():
        file.add_tensor(f"{name}.weight", tensor.astype(np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def _describe(file: "gguf.GGUFWriter") -> None:  # type: ignore[name-defined] # noqa: F821 -- imported where it is used
    """Write the model's dimensions and its vocabulary."""
    file.add_context_length(CONTEXT)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(FEED_FORWARD)
    file.add_head_count(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_tokenizer_model("llama")
    file.add_token_list([*CONTROL, *BYTES, *PIECES])
    file.add_token_types([2, 3, 3, *[6] * len(BYTES), *[1] * len(PIECES)])  # unknown, control, byte, normal
    file.add_token_scores([0.0] * SILENT + [-float(place) for place in range(len(PIECES))])
    file.add_unk_token_id(0)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}assistant:")


def serve(path: Path) -> None:
    """Serve a model on loopback until the process is killed."""
    import xllamacpp  # noqa: PLC0415 -- only the engine's process loads it

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT * PARALLEL
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


@contextmanager
def launch_engine(path: Path) -> Iterator[str]:
    """Serve a model in a new process during a block; yield its address."""
    command = [sys.executable, __file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as engine:
        try:
            assert engine.stdout is not None
            address = engine.stdout.readline().strip()
            assert address.startswith("http://"), "the engine did not start"
            yield address
        finally:
            engine.kill()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
