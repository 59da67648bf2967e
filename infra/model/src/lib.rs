//! The send protocol as a model.
