//! Sentences about tokens, passwords and log-ins.

use super::Table;

#[rustfmt::skip]
pub(super) const SENTENCES: Table = &[
    ("the token is shown this once: {} has a fingerprint of it. It counts until {until}; a bank \
      that runs takes it with SIGHUP. Use: curl -H 'Authorization: Bearer ...'",
     "o token é mostrado só desta vez: {} guarda uma impressão dele. Vale até {until}; um banco \
      que roda o lê com SIGHUP. Uso: curl -H 'Authorization: Bearer ...'"),
    ("{name} has a password in {}; a bank that runs takes it with SIGHUP",
     "{name} tem uma senha em {}; um banco que roda a lê com SIGHUP"),
    ("{name} has no {what} any more; a bank that runs ends its sessions with SIGHUP",
     "{name} não tem mais {what}; um banco que roda encerra as suas sessões com SIGHUP"),
    ("{name} has no {what} in {}", "{name} não tem {what} em {}"),
    ("the password has {characters} characters: give {PASSWORD_CHARACTERS_MIN} or more, and at \
      most {PASSWORD_BYTES_MAX} bytes",
     "a senha tem {characters} caracteres: use {PASSWORD_CHARACTERS_MIN} ou mais, e no máximo \
      {PASSWORD_BYTES_MAX} bytes"),
    ("the folder {} is not there: give that of the bank, as --tls",
     "a pasta {} não existe: informe a do banco, com --tls"),
    ("password of {name}", "senha de {name}"),
    ("the same again", "a mesma outra vez"),
    ("the two are not the same; nothing was changed", "as duas não são iguais; nada mudou"),
    ("standard input has more than one line", "a entrada padrão tem mais de uma linha"),
    ("the password can't be read", "a senha não pode ser lida"),
    ("the password can't be hashed", "o hash da senha não pode ser feito"),
    ("the system has no randomness", "o sistema não dá números aleatórios"),
    ("the tokens and passwords of before stay in force: {why}",
     "os tokens e senhas de antes continuam valendo: {why}"),
    ("credentials {path}: {error}", "credenciais {path}: {error}"),
    ("credentials {path}: others can read or write it (mode {mode:03o}): chmod 600 {path}",
     "credenciais {path}: outros podem ler ou gravar (modo {mode:03o}): chmod 600 {path}"),
    ("credentials {path}: {why}", "credenciais {path}: {why}"),
    ("credentials {path}: {CREDENTIALS_MAX} tokens are in it, the most; remove some",
     "credenciais {path}: tem {CREDENTIALS_MAX} tokens, o máximo; remova alguns"),
    ("longer than {CREDENTIALS_BYTES_MAX} bytes", "tem mais de {CREDENTIALS_BYTES_MAX} bytes"),
    ("a token of {name}: its fingerprint is not 64 hex digits",
     "um token de {name}: a sua impressão não tem 64 dígitos hexadecimais"),
    ("a token of {} is there twice", "um token de {} aparece duas vezes"),
    ("the password of {name}: not a hash by argon2id",
     "a senha de {name}: não é um hash de argon2id"),
    ("the password of {name} is there twice", "a senha de {name} aparece duas vezes"),
    ("more than {CREDENTIALS_MAX} entries", "mais de {CREDENTIALS_MAX} entradas"),
    ("{text} is no time in UTC, as 2026-11-30T21:00:00Z is",
     "{text} não é uma hora em UTC, como 2026-11-30T21:00:00Z"),
    ("too many tries: the next one is taken in {after_s} s",
     "muitas tentativas: a próxima é aceita em {after_s} s"),
    ("too many log-ins at once: try again in a second",
     "muitas entradas ao mesmo tempo: tente de novo em um segundo"),
];
