# What schemathesis must know to send session descriptions (WHEP): they are text.
import schemathesis


@schemathesis.serializer("application/sdp")
def sdp(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
