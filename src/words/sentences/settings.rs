//! Faults of settings, keys and switches, and what `servidor --check` and `--health` say.

use super::Table;

#[rustfmt::skip]
pub(super) const SENTENCES: Table = &[
    // The switches.
    ("--sessions-max: more than is kept for banks, at most 10000",
     "--sessions-max: mais do que o guardado para bancos, no máximo 10000"),
    ("--bank {position}: no bank is at that place of the consortium {list}",
     "--bank {position}: não há banco nesse lugar do consórcio {list}"),
    ("--port 0 needs --bank: the port does not tell which bank this is",
     "--port 0 precisa de --bank: a porta não diz que banco é este"),
    ("{own} is not in the consortium {list}: give --consortium with it, or --bank N for its \
      position",
     "{own} não está no consórcio {list}: dê --consortium com ele, ou --bank N para a sua posição"),
    ("{own} may be several banks of the consortium {list}: give --bank N for its position",
     "{own} pode ser vários bancos do consórcio {list}: dê --bank N para a sua posição"),
    ("--introduce-without {position}: no bank is at that place of the consortium {}",
     "--introduce-without {position}: não há banco nesse lugar do consórcio {}"),
    ("{address} is not on this machine, and a key that a bank makes itself is: give all banks one \
      --key-file (make it: servidor key FILE)",
     "{address} não é desta máquina, e uma chave que um banco faz sozinho é: dê a todos os bancos \
      uma só --key-file (faça-a: servidor key ARQUIVO)"),
    ("--demo needs --http: the panel is served there",
     "--demo precisa de --http: o painel é servido ali"),
    ("--demo lets the panel stop and start processes, and {address} is not on this machine: leave \
      --demo out, or keep --host, --http and --consortium on 127.0.0.1",
     "--demo deixa o painel parar e iniciar processos, e {address} não é desta máquina: tire \
      --demo, ou deixe --host, --http e --consortium em 127.0.0.1"),
    ("port {port} is taken; another one is given by --port (and --consortium)",
     "a porta {port} está ocupada; --port (e --consortium) dá outra"),
    ("port {port} is not allowed; another one is given by --port",
     "a porta {port} não é permitida; --port dá outra"),
    ("can't listen on {address}; see --host and --port",
     "não é possível escutar em {address}; veja --host e --port"),
    ("HTTP can't listen on {address}; see --http",
     "HTTP não pode escutar em {address}; veja --http"),
    ("HTTP can't be started", "HTTP não pode ser iniciado"),
    ("the demonstration can't be joined; see --demo",
     "não é possível entrar na demonstração; veja --demo"),
    ("give host:port, like 127.0.0.1:5030", "dê máquina:porta, como 127.0.0.1:5030"),
    ("give a name alone, like painel.example, without scheme, port or path",
     "dê só um nome, como painel.example, sem esquema, porta nem caminho"),
    ("give scheme://host or scheme://host:port, without a path",
     "dê esquema://máquina ou esquema://máquina:porta, sem caminho"),
    ("the port file {}", "o arquivo da porta {}"),
    ("the folder {}", "a pasta {}"),
    ("it is there, and no regular file; name another one",
     "existe, e não é um arquivo comum; nomeie outro"),
    ("the system gives no random bytes: {error}", "o sistema não dá bytes aleatórios: {error}"),
    ("only {allowed} open files are allowed, so there are places for {} sessions and not for \
      {}{}; ulimit -n {needed} allows all",
     "só {allowed} arquivos abertos são permitidos, e há lugar para {} sessões e não para {}{}; \
      ulimit -n {needed} permite todas"),
    (", and for {} HTTP connections", ", e para {} conexões de HTTP"),
    ("only {allowed} open files are allowed, and a bank needs {least} to serve anybody; ulimit -n \
      {} allows all that it may want",
     "só {allowed} arquivos abertos são permitidos, e um banco precisa de {least} para atender \
      alguém; ulimit -n {} permite tudo o que ele pode querer"),
    ("{VARIABLE}={text}: no such crash point", "{VARIABLE}={text}: não há esse ponto de queda"),
    ("{VARIABLE}: {text:?} is not one or two numbers",
     "{VARIABLE}: {text:?} não é um número nem dois"),
    ("RUST_LOG=\"{quoted}\" is left out, it is no list of levels: give one like info, or \
      consorcio_peers=debug,consorcio::step=off",
     "RUST_LOG=\"{quoted}\" é deixado de lado, não é uma lista de níveis: dê uma como info, ou \
      consorcio_peers=debug,consorcio::step=off"),
    ("there is no command {words:?}; {program} --help lists them",
     "não há o comando {words:?}; {program} --help os lista"),
    ("a man page: {0}", "uma página de manual: {0}"),
    ("standard output could not be written", "a saída padrão não pôde ser escrita"),
    // The folder, the list and the key.
    ("the journal in {folder} can be {verb} by others; make it yours alone: chmod -R go= {folder}",
     "o diário em {folder} pode ser {verb} por outros; faça-o só seu: chmod -R go= {folder}"),
    ("changed", "alterado"),
    ("read", "lido"),
    ("{}: whose journal it is can't be read: {error}",
     "{}: não é possível ler de quem é este diário: {error}"),
    ("{shown} holds a journal of bank {bank}, and {new} holds none; a new one would know nothing \
      of what the old one promised. Move it: {how}{more}",
     "{shown} tem um diário do banco {bank}, e {new} não tem nenhum; um novo nada saberia do que \
      o antigo prometeu. Mova-o: {how}{more}"),
    (" ({} more folders hold one, too: move the one that it used last)",
     " (mais {} pastas também têm um: mova o que ele usou por último)"),
    ("the list marks bank {bank} as left, and transaction {tx}, which names it, is undecided \
      here: start with the old list until it is decided",
     "a lista diz que o banco {bank} saiu, e a transação {tx}, que o nomeia, está pendente aqui: \
      inicie com a lista antiga até ela ser decidida"),
    ("this bank must not work any more: {why}", "este banco não deve mais trabalhar: {why}"),
    ("the data in {} does not fit the consortium", "os dados em {} não são deste consórcio"),
    ("this data belongs to bank {old_me}, not to bank {me}",
     "estes dados são do banco {old_me}, não do banco {me}"),
    ("place {place} ({missing}) is missing: a bank that left leaves `{LEFT}` in its place",
     "falta o lugar {place} ({missing}): um banco que saiu deixa `{LEFT}` no seu lugar"),
    ("place {place} is given to {is}, but its bank left; new banks are added at the end",
     "o lugar {place} é dado a {is}, mas o seu banco saiu; bancos novos entram no fim"),
    ("{is} stands at place {place}, but it is the address of bank {other}",
     "{is} está no lugar {place}, mas é o endereço do banco {other}"),
    ("it is that of the consortium {}, and {} shares no address with it: is this another \
      consortium? Give another --data-dir; if all banks moved, give --moved",
     "é o do consórcio {}, e {} não tem com ele nenhum endereço em comum: é outro consórcio? Dê \
      outra --data-dir; se todos os bancos se mudaram, dê --moved"),
    ("the key in {file} is {ours}, and this bank's journal knows {known}: give it that key again, \
      or, where all banks get a new one, start it once with --new-key",
     "a chave em {file} é {ours}, e o diário deste banco conhece {known}: dê-lhe essa chave de \
      novo, ou, se todos os bancos recebem uma nova, inicie-o uma vez com --new-key"),
    ("the key file {} is missing, and the journal in {} knows the key {known}: put the file back, \
      or, where all banks get a new key, start this one once with --new-key",
     "falta o arquivo de chave {}, e o diário em {} conhece a chave {known}: ponha o arquivo de \
      volta, ou, se todos os bancos recebem uma chave nova, inicie este uma vez com --new-key"),
    ("key file {path}: {error}", "arquivo de chave {path}: {error}"),
    ("key file {path} is not there; name the one that all banks have, or make one: servidor key \
      {path}",
     "o arquivo de chave {path} não existe; nomeie o que todos os bancos têm, ou faça um: \
      servidor key {path}"),
    ("key file {path} is there already, and a key is never overwritten; name another file",
     "o arquivo de chave {path} já existe, e uma chave nunca é sobrescrita; nomeie outro arquivo"),
    ("key file {path} is no regular file; name one (servidor key FILE makes one)",
     "o arquivo de chave {path} não é um arquivo comum; nomeie um (servidor key ARQUIVO faz um)"),
    ("key file {path} can be read by others (mode {mode:o}); make it yours alone: chmod 600 {path}",
     "o arquivo de chave {path} pode ser lido por outros (modo {mode:o}); faça-o só seu: chmod \
      600 {path}"),
    ("key file {path} holds no key: it must be 64 hex digits or 32 bytes (make one: servidor key \
      FILE)",
     "o arquivo de chave {path} não tem uma chave: são 64 dígitos hexadecimais ou 32 bytes (faça \
      um: servidor key ARQUIVO)"),
    ("consortium: {0}", "consórcio: {0}"),
    ("more than {BANKS_MAX} places", "mais de {BANKS_MAX} lugares"),
    ("{address} stands at places {other} and {at}", "{address} está nos lugares {other} e {at}"),
    ("no bank in it", "não há banco nele"),
    ("{item:?}: no host before the port", "{item:?}: falta a máquina antes da porta"),
    ("{item:?}: an IPv6 address is written [::1]:8886",
     "{item:?}: um endereço IPv6 se escreve [::1]:8886"),
    ("{item:?} is no range of 1 to {BANKS_MAX} ports",
     "{item:?} não é uma faixa de 1 a {BANKS_MAX} portas"),
    ("{item:?}: a place is host:port, a port from 1 to 65535, a range such as 8886-8888, or - for \
      a bank that left",
     "{item:?}: um lugar é máquina:porta, uma porta de 1 a 65535, uma faixa como 8886-8888, ou - \
      para um banco que saiu"),
    // The settings file.
    ("the settings file {0} is not there; --config names one",
     "o arquivo de configurações {0} não existe; --config nomeia um"),
    ("the settings file {0} can't be read: {1}",
     "o arquivo de configurações {0} não pode ser lido: {1}"),
    ("the settings file {0} is no regular file; --config names one",
     "o arquivo de configurações {0} não é um arquivo comum; --config nomeia um"),
    ("the settings file {0} may be changed by other users; make it yours alone (chown, chmod \
      o-w), or name it: --config {0}",
     "o arquivo de configurações {0} pode ser alterado por outros usuários; faça-o só seu (chown, \
      chmod o-w), ou nomeie-o: --config {0}"),
    ("the settings file {0} has more than {SETTINGS_BYTES_MAX} bytes; shorten it",
     "o arquivo de configurações {0} tem mais de {SETTINGS_BYTES_MAX} bytes; encurte-o"),
    ("the settings file {0} is no UTF-8 text; save it as UTF-8",
     "o arquivo de configurações {0} não é texto UTF-8; grave-o como UTF-8"),
    ("{0}:{1}: {2}", "{0}, linha {1}: {2}"),
    ("this is no TOML: {}", "isto não é TOML: {}"),
    ("{} can't be {why}", "{} não pode ser {why}"),
    ("{name} is a setting of {own} alone: put it below [{own}]",
     "{name} é uma configuração só de {own}: ponha-a abaixo de [{own}]"),
    ("{own} has no setting {name}; it has {}", "{own} não tem a configuração {name}; tem {}"),
    ("there is no table [{name}]; the tables are [servidor] and [cliente]",
     "não há a tabela [{name}]; as tabelas são [servidor] e [cliente]"),
    ("{name} is no setting of both programs: those are {}; put one of a single program below \
      [servidor] or [cliente]",
     "{name} não é uma configuração dos dois programas: essas são {}; ponha a de um só programa \
      abaixo de [servidor] ou [cliente]"),
    ("{name} is too large a number", "{name} é um número grande demais"),
    ("{name} must be a text, a whole number, true, false, or a list of those",
     "{name} deve ser um texto, um número inteiro, true, false, ou uma lista deles"),
    ("give a value", "dê um valor"),
    ("{name} can't be {value:?}: {rule}", "{name} não pode ser {value:?}: {rule}"),
    ("give a whole number", "dê um número inteiro"),
    ("give a whole number from {from} to {to}", "dê um número inteiro de {from} a {to}"),
    ("give a whole number in {range}", "dê um número inteiro em {range}"),
    ("{text:?}: messages are in pt or en", "{text:?}: as mensagens são em pt ou en"),
    // servidor --check.
    ("it is bank {bank} at {own} of {} places", "é o banco {bank} em {own}, de {} lugares"),
    ("open files", "arquivos abertos"),
    ("key {} in {}", "chave {} em {}"),
    ("no key yet: the first bank of this machine makes it",
     "ainda não há chave: o primeiro banco desta máquina a faz"),
    ("step log", "log de passos"),
    ("journal", "diário"),
    ("port", "porta"),
    ("key", "chave"),
    ("Every setting has its default.", "Toda configuração tem o seu padrão."),
    ("Every other setting has its default.", "Toda outra configuração tem o seu padrão."),
    ("This bank can start.", "Este banco pode iniciar."),
    ("This bank can't start so.", "Assim este banco não pode iniciar."),
    ("room for {} connections", "há lugar para {} conexões"),
    ("no journal yet: a start makes it in {folder}",
     "ainda não há diário: um início o faz em {folder}"),
    ("a bank runs on the journal in {folder}, and has its ports",
     "um banco roda com o diário em {folder}, e tem as suas portas"),
    ("journal in {folder}: {records} records, intact",
     "diário em {folder}: {records} registros, intacto"),
    ("damaged: {fault}", "danificado: {fault}"),
    ("it does not fit the consortium", "não é deste consórcio"),
    ("the key is {ours}, and this journal knows {known}; see --key-file",
     "a chave é {ours}, e este diário conhece {known}; veja --key-file"),
    ("no step log (--log-steps off)", "nenhum log de passos (--log-steps off)"),
    ("{name}: {} is no folder; see --log-dir", "{name}: {} não é uma pasta; veja --log-dir"),
    ("{name}: {} can't be written", "{name}: {} não pode ser escrito"),
    ("step log {name}", "log de passos {name}"),
    ("a port is free", "uma porta está livre"),
    ("port {port} is free", "a porta {port} está livre"),
    ("HTTP can listen on {address}", "HTTP pode escutar em {address}"),
    // servidor --health and servidor journal.
    ("--health needs the port of the bank: give --port",
     "--health precisa da porta do banco: dê --port"),
    ("bank {bank} at {address} does not work", "o banco {bank} em {address} não trabalha"),
    ("bank {bank} at {address} does not work: it answers {:?}",
     "o banco {bank} em {address} não trabalha: responde {:?}"),
    ("what listens on {address} is no bank of this version",
     "o que escuta em {address} não é um banco desta versão"),
    ("bank {} listens on {address}, and not bank {bank}; see --port",
     "o banco {} escuta em {address}, e não o banco {bank}; veja --port"),
    ("bank {bank} works on {address}: {undecided} undecided, answer after {took} µs",
     "o banco {bank} trabalha em {address}: {undecided} pendentes, resposta após {took} µs"),
    ("no answer within {} s", "sem resposta em {} s"),
    ("no connection", "sem conexão"),
    ("the name has no address", "o nome não tem endereço"),
    ("its answer can't be read", "a resposta não pode ser lida"),
    ("it closed the connection without an answer", "fechou a conexão sem responder"),
    ("its answer is no text", "a resposta não é texto"),
    ("{}: this folder can't be read: {error}", "{}: esta pasta não pode ser lida: {error}"),
    ("{}: no journal is in this folder; give one like data/bank-0",
     "{}: não há diário nesta pasta; dê uma como data/bank-0"),
    ("standard output could not be written: {error}",
     "a saída padrão não pôde ser escrita: {error}"),
    ("{torn}; it was being written when this was read or when its bank stopped, and nothing in it \
      was promised",
     "{torn}; estava sendo escrito quando isto foi lido ou quando o banco parou, e nada nele foi \
      prometido"),
    ("{}: this index is damaged; no record is lost by that, the bank makes it again from the \
      segments",
     "{}: este índice está danificado; nenhum registro se perde com isso, o banco o refaz dos \
      segmentos"),
    ("{}: {records} records, the last one is number {last}",
     "{}: {records} registros, o último é o número {last}"),
    ("{found}; all of it is as it was written", "{found}; tudo está como foi escrito"),
    ("{found}; DAMAGED: {first}{more}", "{found}; DANIFICADO: {first}{more}"),
    (" (and {} more places)", " (e mais {} lugares)"),
];
