//! The step log: the story, one file a node.
