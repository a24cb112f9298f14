"""The part of TensorFlow Lite's schema (schema.fbs, version 3) that kwsd reads and checks, as facts."""

from kwsd.model.tflite.flatbuffer import Numbers, Scalar, Schema, String, Table, Tables, Union

IDENTIFIER = b"TFL3"

OPTIONS_WITH_VECTORS = {17: "ReshapeOptions", 30: "SqueezeOptions", 115: "BucketizeOptions"}
SPARSE_INDICES = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}

SCHEMA: Schema = {
    "Model": {
        0: ("version", Scalar("I")),
        1: ("operator_codes", Tables("OperatorCode")),
        2: ("subgraphs", Tables("SubGraph")),
        3: ("description", String()),
        4: ("buffers", Tables("Buffer")),
        5: ("metadata_buffer", Numbers("i4")),
        6: ("metadata", Tables("Metadata")),
        7: ("signature_defs", Tables("SignatureDef")),
        8: ("external_buffer_groups", Tables("ExternalBufferGroup")),
        9: ("external_buffers", Tables("ExternalBuffer")),
    },
    "OperatorCode": {
        0: ("deprecated_builtin_code", Scalar("b")),
        1: ("custom_code", String()),
        2: ("version", Scalar("i", 1)),
        3: ("builtin_code", Scalar("i")),
    },
    "SubGraph": {
        0: ("tensors", Tables("Tensor")),
        1: ("inputs", Numbers("i4")),
        2: ("outputs", Numbers("i4")),
        3: ("operators", Tables("Operator")),
        4: ("name", String()),
    },
    "Tensor": {
        0: ("shape", Numbers("i4")),
        1: ("type", Scalar("b")),
        2: ("buffer", Scalar("I")),
        3: ("name", String()),
        4: ("quantization", Table("QuantizationParameters")),
        5: ("is_variable", Scalar("B")),
        6: ("sparsity", Table("SparsityParameters")),
        7: ("shape_signature", Numbers("i4")),
        9: ("variant_tensors", Tables("VariantSubType")),
        10: ("external_buffer", Scalar("I")),
    },
    "QuantizationParameters": {
        0: ("min", Numbers("f4")),
        1: ("max", Numbers("f4")),
        2: ("scale", Numbers("f4")),
        3: ("zero_point", Numbers("i8")),
        5: ("details", Union(4, {1: "CustomQuantization"})),
        6: ("quantized_dimension", Scalar("i")),
    },
    "CustomQuantization": {0: ("custom", Numbers("u1"))},
    "SparsityParameters": {
        0: ("traversal_order", Numbers("i4")),
        1: ("block_map", Numbers("i4")),
        2: ("dim_metadata", Tables("DimensionMetadata")),
    },
    "DimensionMetadata": {
        1: ("dense_size", Scalar("i")),
        3: ("array_segments", Union(2, SPARSE_INDICES)),
        5: ("array_indices", Union(4, SPARSE_INDICES)),
    },
    "Int32Vector": {0: ("values", Numbers("i4"))},
    "Uint16Vector": {0: ("values", Numbers("u2"))},
    "Uint8Vector": {0: ("values", Numbers("u1"))},
    "VariantSubType": {0: ("shape", Numbers("i4"))},
    "Operator": {
        0: ("opcode_index", Scalar("I")),
        1: ("inputs", Numbers("i4")),
        2: ("outputs", Numbers("i4")),
        4: ("builtin_options", Union(3, OPTIONS_WITH_VECTORS)),
        5: ("custom_options", Numbers("u1")),
        7: ("mutating_variable_inputs", Numbers("u1")),
        8: ("intermediates", Numbers("i4")),
        9: ("large_custom_options_offset", Scalar("Q")),
        10: ("large_custom_options_size", Scalar("Q")),
        12: ("builtin_options_2", Union(11, {})),
    },
    "ReshapeOptions": {0: ("new_shape", Numbers("i4"))},
    "SqueezeOptions": {0: ("squeeze_dims", Numbers("i4"))},
    "BucketizeOptions": {0: ("boundaries", Numbers("f4"))},
    "Buffer": {
        0: ("data", Numbers("u1")),
        1: ("offset", Scalar("Q")),
        2: ("size", Scalar("Q")),
    },
    "Metadata": {0: ("name", String()), 1: ("buffer", Scalar("I"))},
    "SignatureDef": {
        0: ("inputs", Tables("TensorMap")),
        1: ("outputs", Tables("TensorMap")),
        2: ("signature_key", String()),
        4: ("subgraph_index", Scalar("I")),
    },
    "TensorMap": {0: ("name", String()), 1: ("tensor_index", Scalar("I"))},
}

# number: numpy name, bits of one element; 0 bits: the size is not fixed
TENSOR_TYPES = {
    0: ("float32", 32),
    1: ("float16", 16),
    2: ("int32", 32),
    3: ("uint8", 8),
    4: ("int64", 64),
    5: ("string", 0),
    6: ("bool", 8),
    7: ("int16", 16),
    8: ("complex64", 64),
    9: ("int8", 8),
    10: ("float64", 64),
    11: ("complex128", 128),
    12: ("uint64", 64),
    13: ("resource", 0),
    14: ("variant", 0),
    15: ("uint32", 32),
    16: ("uint16", 16),
    17: ("int4", 4),
    18: ("bfloat16", 16),
    19: ("int2", 2),
    20: ("uint4", 4),
    21: ("float8_e4m3fn", 8),
    22: ("float8_e5m2", 8),
}

CUSTOM = 32
PLACEHOLDER_FOR_GREATER_OP_CODES = 127

# operators whose multiply-adds are counted (kwsd/model/tflite/cost.py)
OPERATORS = {
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED",
    27: "SVDF",
    67: "TRANSPOSE_CONV",
    126: "BATCH_MATMUL",
    132: "CONV_3D",
}
