//! Errors of the system, and of connections.

use super::Table;

#[rustfmt::skip]
pub(super) const SENTENCES: Table = &[
    // The system's own texts, with and without their numbers.
    ("Address already in use (os error {n})", "endereço já em uso (erro {n})"),
    ("Cannot assign requested address (os error {n})", "o endereço não é desta máquina (erro {n})"),
    ("Connection refused (os error {n})", "conexão recusada (erro {n})"),
    ("Connection reset by peer (os error {n})",
     "a conexão foi desfeita pelo outro lado (erro {n})"),
    ("Broken pipe (os error {n})", "o outro lado fechou (erro {n})"),
    ("No such file or directory (os error {n})", "não existe (erro {n})"),
    ("Permission denied (os error {n})", "sem permissão (erro {n})"),
    ("Operation not permitted (os error {n})", "operação não permitida (erro {n})"),
    ("No space left on device (os error {n})", "não há espaço no disco (erro {n})"),
    ("File too large (os error {n})", "arquivo grande demais (erro {n})"),
    ("File exists (os error {n})", "já existe (erro {n})"),
    ("Is a directory (os error {n})", "é uma pasta (erro {n})"),
    ("Not a directory (os error {n})", "não é uma pasta (erro {n})"),
    ("Read-only file system (os error {n})", "sistema de arquivos só de leitura (erro {n})"),
    ("Input/output error (os error {n})", "erro de entrada ou saída (erro {n})"),
    ("Too many open files (os error {n})", "arquivos abertos demais (erro {n})"),
    ("Invalid argument (os error {n})", "argumento inválido (erro {n})"),
    ("failed to lookup address information: {why}", "o nome não foi encontrado: {why}"),
    ("invalid port value", "porta inválida"),
    ("connection refused", "conexão recusada"),
    ("the connection broke", "a conexão caiu"),
    ("no place left", "não há lugar"),
];
