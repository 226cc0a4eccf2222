//! Series: values at regular steps, and how irregular samples become one.
