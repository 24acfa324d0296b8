"""How good is nano? The any-to-any matrix, measured (`anygen eval nano`).

Reading order: `matrix.py` (what is asked and what counts as right), `run.py` (asks it, scores it, writes the table),
`judges.py` and `judge_training.py` (classifiers trained on renders), `measure.py` (colour, place, motion and pitch
without learning), `answers.py` (what a text names).
"""
