"""What sentence-transformers makes of folders, and folders as it saves them.

Reads a JSON command a line and answers each with a line of JSON, {"error": "..."} where it fails:

{"op": "embed", "folder", "texts", "prompt_name"?}                      embeddings, and every complaint on the way
{"op": "save", "base", "folder", "pooling", "normalize", "settings"}    puts modules around the model of a folder
{"op": "package", "name"}                                               where a package lies, or null
"""

import importlib.util
import json
import logging
import os
import sys
import warnings

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

complaints = []


class Collect(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


for name in ("transformers", "sentence_transformers", "py.warnings"):
    logger = logging.getLogger(name)
    logger.handlers = [Collect(level=logging.WARNING)]
    logger.propagate = False
logging.captureWarnings(True)
for own_business in (FutureWarning, DeprecationWarning):  # of one library towards the other
    warnings.simplefilter("ignore", own_business)


def embed(command):
    model = SentenceTransformer(command["folder"], device="cpu")
    vectors = model.encode(command["texts"], prompt_name=command.get("prompt_name"), show_progress_bar=False)
    return {"embeddings": vectors.tolist(), "length": model.max_seq_length}


def save(command):
    transformer = modules.Transformer(command["base"])
    parts = [transformer, modules.Pooling(transformer.get_embedding_dimension(), command["pooling"])]
    if command["normalize"]:
        parts.append(modules.Normalize())
    SentenceTransformer(modules=parts, device="cpu", **command["settings"]).save(command["folder"])
    return {}


def package(command):
    spec = importlib.util.find_spec(command["name"])
    return {"path": None if spec is None else os.path.dirname(spec.origin)}


for line in sys.stdin:
    command = json.loads(line)
    complaints.clear()
    try:
        answer = {"embed": embed, "save": save, "package": package}[command["op"]](command)
        print(json.dumps({**answer, "complaints": complaints}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
