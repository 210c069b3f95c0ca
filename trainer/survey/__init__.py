"""What lies in a source of images, found without reading one: for who submits a run, shared with who trains.

It needs neither numpy nor TensorFlow. `survey` counts; `headline` and `warnings` say it in the words that the
trainer's log has too.
"""

from trainer.survey.counting import Survey, survey
from trainer.survey.files import ENDINGS, check_installed
from trainer.survey.latest import names_latest, resolve
from trainer.survey.telling import blamed, classes_fit, headline, left_out_text, warnings

__all__ = [
    "ENDINGS",
    "Survey",
    "blamed",
    "check_installed",
    "classes_fit",
    "headline",
    "left_out_text",
    "names_latest",
    "resolve",
    "survey",
    "warnings",
]
