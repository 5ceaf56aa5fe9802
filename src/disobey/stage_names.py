"""The stages: what ``--help`` lists and the report's account of what was run."""

# In the order of the graph, with what goes in and what comes out.
STAGES = {
    "pretrained": "a public checkpoint -> results/pretrained/<pretrained>/",
    "prepare": "a data source -> results/data/<data>.nc",
    "labels": "data -> the same labels with noise, results/labels/<labels>.nc",
    "basis": "data [and a trained teacher] -> eigendirections, results/basis/<basis>.nc",
    "train": "data [and the teacher's logits] -> results/runs/<run>/",
    "dump": "a run and its data -> results/logits/<run>.nc",
    "compared": "files of logits, from any framework -> results/compared/<compared>.nc",
    "classify": "a checkpoint of a classifier and data -> results/classified/<run>.nc",
    "views": "a teacher and its data -> results/views/<run>/<block>.nc",
    "confidence": "logits of all models of a setting -> results/<study>/analysis/<setting>.nc",
    "bias": "histories of a setting and its placebos -> results/<study>/bias/<setting>.nc",
    "curves": "histories of a setting -> results/<study>/curves/<setting>.nc",
    "gradients": "data with true directions and weights -> results/<study>/gradients/<setting>.nc",
    "table": "analyses -> results/<study>/tables/<table>.csv",
    "figure": "analyses -> results/<study>/figures/<figure>.pdf and .png",
    "explorer": "logits and data of all settings -> results/<study>/explorer.html",
    "report": "tables, figures, manifests -> results/<study>/report.html",
}
