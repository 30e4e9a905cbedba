"""What vLLM calls in each of its processes, as an entry point of the group `vllm.general_plugins`."""

ARCHITECTURE = "PluresStudentForCausalLM"
CONNECTOR = "NamedStateConnector"
_HERE = "plures_server.vllm"


def register() -> None:
    """Make students and named states known to vLLM; may be called many times, and imports neither until it is used."""
    from transformers import AutoConfig
    from vllm import ModelRegistry
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP

    from .config import StudentLanguageConfig, StudentModelConfig

    AutoConfig.register(StudentLanguageConfig.model_type, StudentLanguageConfig, exist_ok=True)
    # vLLM finds by itself how the state of a hybrid is cached, not of a model without any attention.
    MODELS_CONFIG_MAP[ARCHITECTURE] = StudentModelConfig
    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, f"{_HERE}.model:{ARCHITECTURE}")
    if CONNECTOR not in KVConnectorFactory._registry:
        KVConnectorFactory.register_connector(CONNECTOR, f"{_HERE}.states.connector", CONNECTOR)
