"""What an analysis process can do on this machine, found out by starting one."""

from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import ImageAnalyzer
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer
from dicom_node.study.sandbox.messages import Confined
from inference.types import ModelIdentity


def idle_analyzer(settings: Settings) -> ImageAnalyzer:  # noqa: ARG001 - the signature of `load_analyzer`
    """Return an analyzer without networks, which measures and reports nothing."""
    return ImageAnalyzer(
        analyse=lambda _: [],
        build_results=lambda *_: [],
        model=ModelIdentity(name="none", version="0", sha256=""),
    )


def confinement_here(settings: Settings) -> Confined:
    """Start an analysis process, let it try what it should not be able to do, and end it.

    Raises:
        AnalyzerError: none can be started, or `job.sandbox` is "require" and it could do too much.
    """
    with SandboxedAnalyzer(settings, idle_analyzer) as analyzer:
        return analyzer.confined
