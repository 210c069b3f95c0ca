"""tf.train.Example without TensorFlow, whose import takes seconds and prints notes.

The messages are those of tensorflow/core/example/{example,feature}.proto: the bytes are the same.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

_KINDS = descriptor_pb2.FieldDescriptorProto


def _message(file: Any, name: str, *fields: tuple[str, int, int, str]) -> Any:
    made = file.message_type.add(name=name)
    for field, label, kind, of in fields:
        number = len(made.field) + 1
        added = made.field.add(name=field, number=number, label=label, type=kind)
        if of:
            added.type_name = f".gantry.{of}"
    return made


def _build() -> Any:
    """The class of the messages.

    ``Example{Features features=1}``, ``Features{map<string, Feature> feature=1}`` and ``Feature{oneof kind
    {BytesList bytes_list=1; FloatList float_list=2; Int64List int64_list=3}}``, each list with ``value=1``.
    """
    file = descriptor_pb2.FileDescriptorProto(name="gantry/example.proto", package="gantry", syntax="proto3")
    one, many = _KINDS.LABEL_OPTIONAL, _KINDS.LABEL_REPEATED
    for name, kind in (
        ("BytesList", _KINDS.TYPE_BYTES),
        ("FloatList", _KINDS.TYPE_FLOAT),
        ("Int64List", _KINDS.TYPE_INT64),
    ):
        _message(file, name, ("value", many, kind, ""))
    lists = (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List"))
    feature = _message(file, "Feature", *((field, one, _KINDS.TYPE_MESSAGE, of) for field, of in lists))
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = _message(file, "Features", ("feature", many, _KINDS.TYPE_MESSAGE, "Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=_KINDS.TYPE_STRING)
    entry.field.add(name="value", number=2, label=one, type=_KINDS.TYPE_MESSAGE, type_name=".gantry.Feature")
    _message(file, "Example", ("features", one, _KINDS.TYPE_MESSAGE, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("gantry.Example"))


Example: Any = _build()
"""The class of an example."""
