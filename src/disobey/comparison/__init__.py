"""The confidence analysis for logits from any framework.

``files`` reads the logits, ``alignment`` checks them and matches their rows, ``comparing`` analyses
them as a setting of a study, and ``result`` stores and prints the numbers. `disobey.api` and
``python -m disobey compare`` use these modules.
"""
