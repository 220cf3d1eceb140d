# Each kind of credentials on each route, with each method, for a public, a private and a missing repository. The statuses
# stand in tests/data/access-matrix.txt. REGISTRY_MATRIX_WRITE=1 writes that file anew: then read the difference line by line.
use v5.36;
use Registry limit => 300;
use Digest::SHA qw(hmac_sha256 sha256);
use FindBin ();
use MIME::Base64 qw(decode_base64url encode_base64 encode_base64url);
use Registry::Checks;
use Registry::Manual;
use Registry::Nginx;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(time);

BEGIN { need('openssl', 'nginx') }

my $FILE  = "$FindBin::Bin/../data/access-matrix.txt";
my $RULES = <<'END';
team/**    ann        all
team/**    ci         pull,push
public/**  ann        all
public/**  ci         pull,push
public/**  anonymous  pull
own/**     eve        all
END

# Of the same length, so that answers can be compared. The first of the missing ones never comes to be; requests of
# users with rights make repositories of the others.
my %NAME    = (public => 'public/yes', private => 'team/there', missing => 'team/n0000');
my @MISSING = map { sprintf 'team/n%04d', $_ } 1 .. 50;
my $SOURCE  = 'team/source';    # private; blobs are mounted from it

# ---- credentials ----

# Name and title; the user in each API ('': taken for a client without a user; undef: refused wherever a right is needed);
# for: what the token is for (default: all).
my @COLUMNS = (
    [ none  => 'no credentials',                             v1 => '',    v2 => '' ],
    [ wrong => 'a wrong password of ann',                    v1 => undef, v2 => undef ],
    [ ann   => 'the password of ann, who may do all',        v1 => 'ann', v2 => 'ann' ],
    [ bob   => 'the password of bob, who is in no rule',     v1 => 'bob', v2 => 'bob' ],
    [ eve   => 'the password of eve, who may do all elsewhere', v1 => 'eve', v2 => 'eve' ],
    [ ci    => 'the secret of a robot that may pull and push', v1 => 'ci', v2 => 'ci' ],
    [ late  => 'the secret of a robot that has expired',     v1 => undef, v2 => undef ],
    [ token => 'a token of ann for all these repositories',  v1 => '',    v2 => 'ann' ],
    [ other => 'a token of ann for another repository',      v1 => '',    v2 => 'ann', for => [] ],
    [ pull  => 'a token of ann for pulling only',            v1 => '',    v2 => 'ann', for => ['PULL'] ],
    [ old   => 'a token of ann that has expired',            v1 => '',    v2 => undef ],
    [ bit   => 'a token of ann with a flipped bit',          v1 => '',    v2 => undef ],
    [ gone  => 'a token of a user who was removed',          v1 => '',    v2 => undef ],
    [ v1    => 'a token of ann of the first API',            v1 => 'ann', v2 => '' ],
    [ c_ann => 'the certificate of ann (another nginx, --trust-remote-user)', v1 => 'ann', v2 => 'ann', certificate => 'ann' ],
    [ c_bob => '... of bob',                                 v1 => 'bob', v2 => 'bob', certificate => 'bob' ],
    [ c_no  => '... that has no name which counts',          v1 => '',    v2 => '', certificate => 'two' ],
);
$_ = { name => shift @$_, title => shift @$_, @$_ } for @COLUMNS;

my %RIGHTS = (
    ann => { PULL => 1, PUSH => 1, DELETE => 1 },
    ci  => { PULL => 1, PUSH => 1 },
    ''  => {},
    bob => {},
    eve => { ELSEWHERE => 1 },
);

# ---- routes ----

my @METHODS = qw(GET HEAD POST PUT PATCH DELETE OPTIONS);

# Pattern => { method => right }, and the patterns in the order of the table in src/protocol/routes.c.
sub read_routes () {
    my $table  = slurp("$FindBin::Bin/../../src/protocol/routes.c");
    my %macros = $table =~ /^#define (\w+) \(?([A-Z_ |]+)\)?$/mg;
    my (%routes, @order, $n);
    while ($table =~ /^\s*\{(.+?),\s*"([^"]+)",\s*VERB_(\w+),\s*POOL_\w+,\s*\w+\},/mg) {
        my ($methods, $pattern, $right) = ($1, $2, $3);
        $methods =~ s/\b(\w+)\b/$macros{$1} \/\/ $1/ge;
        push @order, $pattern if !$routes{$pattern};
        $routes{$pattern}{$_} = $right for $methods =~ /HTTP_(\w+)/g;
        $n++;
    }
    my $begun = () = $table =~ /^\s*\{.*"\//mg;
    is($n, $begun, 'each row of the table is understood');
    return (\%routes, \@order);
}

my ($routes, $order) = read_routes();
cmp_ok(scalar @$order, '>', 40, 'there are routes');

# { pattern, kind, method, right, key }
my @rows;
for my $pattern (@$order) {
    for my $kind ($pattern =~ /\{(?:name|id)\}/ ? qw(public private missing) : '-') {
        push @rows, { pattern => $pattern, kind => $kind, method => $_, right => $routes->{$pattern}{$_}, key => "$_ $pattern $kind" } for @METHODS;
    }
}

# For whom the client is taken. Tokens of the second API are good for the search and the events of the first, too.
sub user_of ($row, $column) {
    return $column->{v2} if $row->{pattern} =~ m{^/v2} || ($row->{pattern} =~ m{^/v1/(?:search|events)$} && defined $row->{right} && ($column->{v1} // '') eq '');
    return $column->{v1};
}

# May this client get an answer of what is stored, or change it?
sub may ($row, $column) {
    my $right = $row->{right} // return $row->{method} eq 'OPTIONS';
    my $user  = user_of($row, $column);
    return 1 if $right eq 'PUBLIC';
    return 0 if !defined $user;
    my $bound = $row->{pattern} =~ m{^/v2|^/v1/(?:search|events)$} ? $column->{for} : undef;
    return $user ne '' if $right eq 'LOGIN';
    return 0           if $row->{pattern} =~ m{^/v2/_(?:catalog|repositories|find)$} && $user eq '' && !$column->{certificate};    # a token is asked for
    return !$bound     if $right eq 'LIST';
    return 0           if $bound && !grep { $_ eq $right } @$bound;
    return 1           if $right eq 'PULL' && $row->{kind} eq 'public';
    return 1           if $right eq 'PUSH' && $row->{pattern} =~ /\{id\}/ && $RIGHTS{$user}{ELSEWHERE};    # into any repository
    return $RIGHTS{$user}{$right} // 0;
}

# ---- the stores ----

# What both servers have: in each repository an image of each API.
sub make_part ($kind) {
    my $layer = Registry::V1::tar_of([ 'file.txt', "the secret of $kind " . random_bytes(8) ]);
    my $image = Registry::V1::random_image();
    my $v1_layer = Registry::V1::tar_of([ 'file.txt', "the secret of $kind, v1 " . random_bytes(8) ]);
    $image->{layer}   = $v1_layer;
    $image->{payload} = payload_of($image->{json}, $v1_layer);
    my ($config, $manifest) = Registry::Client->image_of([$layer]);
    return { layer => $layer, image => $image, manifest => $manifest, blob => digest($layer), digest => digest($manifest) };
}

sub put_tags ($client, $name, $part) {
    my $put = $client->put_manifest($name, 'v1', $part->{manifest});
    return $put if $put->status != 201;
    return $client->put("/v1/repositories/$name/tags/old", body => "\"$part->{image}{id}\"");
}

sub fill ($client, $parts) {
    for my $kind ('public', 'private') {
        my $part = $parts->{$kind};
        is_status($client->push_image($NAME{$kind}, 'v1', [ $part->{layer} ]), 201, "$kind: an image");
        is_status($client->push_blob($SOURCE, $part->{layer}), 201, '... its layer in another repository');
        my $at = "/v1/images/$part->{image}{id}";
        is_status($client->put("$at/json", body => $part->{image}{json}), 200, '... one of the first API');
        is_status($client->put("$at/layer", body => $part->{image}{layer}), 200, '... its layer');
        is_status($client->put("$at/checksum", body => '', headers => { 'X-Docker-Checksum-Payload' => $part->{image}{payload} }), 200, '... its sum');
        is_status(put_tags($client, $NAME{$kind}, $part), 200, '... and its tag');
    }
    return;
}

# ---- requests ----

my $images = 0;

# The values of a row for one server: a hash of name, id, part.
sub subject ($server, $kind) {
    my $part = $server->{parts}{ $kind eq 'public' ? 'public' : 'private' };
    return { part => $part, name => $NAME{private}, id => '-' } if $kind eq '-';
    return { part => $part, name => $NAME{$kind}, id => $part->{image}{id}, json => $part->{image}{json} } if $kind ne 'missing';
    my $id = sprintf '%064x', 0xabc000 + ++$images;
    return { part => $part, name => $server->{missing}, id => $id, json => json_of({ id => $id }) };
}

my %QUERY = (
    find => 'name=*', _find => 'name=*', diff => 'from=v1', search => 'q=e', _token => "scope=repository:$NAME{private}:pull",
);

# Path, body, headers.
sub request_for ($row, $s, $upload) {
    my ($method, $pattern) = @$row{qw(method pattern)};
    my $part   = $s->{part};
    my $blob   = $part->{blob};
    my ($path, $parameter) = $pattern =~ /^([^?]*)(?:\?(\w+))?$/;
    my %values = (
        name => $s->{name}, id => $s->{id}, reference => 'v1', tag => 'old', user => 'ann', n => 0, upload => $upload,
        digest => $pattern =~ /referrers/ ? $part->{digest} : $blob,
    );
    $path =~ s/\{(\w+)\}/$values{$1} \/\/ die "what is {$1}?"/ge;
    $path =~ s{/\.\.\.$}{$path =~ /tree|archive/ ? '/' : '/file.txt'}e;
    my ($last) = $path =~ m{([^/]*)$};
    my $query  = $QUERY{$last};
    $query = "digest=$blob" if ($parameter // '') eq 'digest' || $pattern =~ /\{upload\}/;
    $query = "mount=$blob&from=$SOURCE" if ($parameter // '') eq 'mount';
    my $body = $method =~ /^P/ ? body_for($pattern, $s) : undef;
    my %headers = $pattern =~ /manifests/ ? ('Content-Type' => $Registry::Client::TYPE{manifest}) : ();
    $headers{'X-Docker-Checksum-Payload'} = $part->{image}{payload} if $pattern =~ /checksum$/;
    return { path => $path . (defined $query ? "?$query" : ''), body => $body, headers => \%headers };
}

sub body_for ($pattern, $s) {
    my $part = $s->{part};
    return $part->{manifest}           if $pattern =~ /manifests/;
    return $part->{layer}              if $pattern =~ /\{upload\}|\?digest/;
    return ''                          if $pattern =~ /uploads|checksum|_token/;
    return $s->{json}                  if $pattern =~ m{/json$};
    return $part->{image}{layer}       if $pattern =~ m{/layer$};
    return "\"$part->{image}{id}\""    if $pattern =~ m{/tags/\{tag\}$};
    return '{}'                        if $pattern =~ m{/users};
    return '[]';
}

# Head and body in one piece, so that an early answer doesn't cut the request.
sub send_request ($connection, $host, $method, $r, $authorization) {
    my %headers = (Host => $host, %{ $r->{headers} }, defined $authorization ? (Authorization => $authorization) : ());
    $headers{'Content-Length'} = length $r->{body} if defined $r->{body};
    my $head = join '', "$method $r->{path} HTTP/1.1\r\n", map { "$_: $headers{$_}\r\n" } sort keys %headers;
    return $connection->send("$head\r\n" . ($r->{body} // ''));
}

# The answer; of an endless stream, as far as its head.
sub read_answer ($connection, $row) {
    my $endless  = $row->{pattern} eq '/v1/events';
    my $response = $connection->response($row->{method}, head => $endless);
    $connection->close, $connection->{over} = 1 if $endless;
    return $response;
}

# ---- what came of it ----

my %seen;     # key => { column => status }
my %shapes;   # method and pattern => { column => { kind => text } }, without the right
my %wrong;    # invariant => [ texts ]

sub note_wrong ($what, $row, $column, $response) {
    my $text = "$row->{key}, $column->{name}: " . $response->describe;
    push @{ $wrong{$what} }, $text;
    return;
}

# All of an answer but its date and its number, with the same words for what the request named.
sub shape_of ($row, $response, $s, $upload) {
    my %headers = %{ $response->{headers} };
    delete $headers{date};
    my $text = join "\n", $response->status, (map { "$_: @{ $headers{$_} }" } sort keys %headers), $response->content;
    $text =~ s/\Q$s->{name}\E/NAME/g;
    $text =~ s/\Q$s->{id}\E/ID/g if $row->{pattern} =~ /\{id\}/;
    $text =~ s/\Q$upload\E/UPLOAD/g if $row->{pattern} =~ /\{upload\}/;
    $text =~ s/"request_id":"[0-9a-f]+"/"request_id":"REQUEST"/g;
    $text =~ s{\b\w+\.\d{10}\.[\w+/]{43}}{TOKEN}g;
    return $text;
}

sub judge ($row, $column, $response, $s, $upload) {
    my $status = $response->status;
    my $may    = may($row, $column);
    $seen{ $row->{key} }{ $column->{name} } = $status;
    note_wrong('no answer is a 5xx', $row, $column, $response) if $status >= 500;
    note_wrong('each 401 has a challenge', $row, $column, $response) if $status == 401 && !defined $response->header('WWW-Authenticate');
    note_wrong('nobody is let in without a right', $row, $column, $response) if !$may && $status < 400 && $row->{method} ne 'OPTIONS';
    note_wrong('nothing internal is shown', $row, $column, $response) if grep { /^x-accel|^x-registry/ } keys %{ $response->{headers} };
    my $user = user_of($row, $column) // '';
    note_wrong('nothing private is shown without the right to pull', $row, $column, $response)
        if !$RIGHTS{$user}{PULL} && $response->content =~ /the secret of private|\Q$NAME{private}\E"\s*[:,\]]/ && $status < 400;
    $shapes{"$row->{method} $row->{pattern}"}{ $column->{name} }{ $row->{kind} } = shape_of($row, $response, $s, $upload)
        if $row->{kind} =~ /private|missing/ && (!$may || $row->{method} eq 'OPTIONS');
    return;
}

# ---- one server ----

# { host, at_once (connections), connect (sub that gives one of a column), clients (by user), credentials (headers, by column),
# parts (public, private), missing (the name of the missing repository), names (more of those), uploads }

sub upload_of ($server, $column, $row) {
    return '-' if $row->{pattern} !~ /\{upload\}/;
    return '0' x 32 if $row->{kind} eq 'missing';
    my ($user) = grep { $server->{clients}{$_} } $column->{v2} // '', 'ann';
    my $upload = \$server->{uploads}{$user}{ $row->{kind} };
    $$upload //= ($server->{clients}{$user}->start_upload($NAME{ $row->{kind} }) // die "no upload\n") =~ s{^.*/}{}r;
    return $$upload;
}

# Restores what a request has changed.
sub restore ($server, $row, $response) {
    return if $response->status >= 300 || $row->{method} =~ /^(?:GET|HEAD|OPTIONS)$/;
    $server->{uploads} = {} if $row->{pattern} =~ /\{upload\}/;
    if ($row->{kind} eq 'missing') { $server->{missing} = shift @{ $server->{names} } // die "no more names\n" }
    elsif ($row->{method} eq 'DELETE' && $row->{pattern} !~ /uploads/) {
        my $back = put_tags($server->{clients}{ann}, $NAME{ $row->{kind} }, $server->{parts}{ $row->{kind} });
        die "not restored: " . $back->describe if $back->status != 200;
    }
    return;
}

# [ row, column ] each, one after the other.
sub run_singly ($server, @cells) {
    my %connections;
    for my $cell (@cells) {
        my ($row, $column) = @$cell;
        my $s          = subject($server, $row->{kind});
        my $upload     = upload_of($server, $column, $row);
        my $connection = $connections{ $column->{name} } //= $server->{connect}->($column);
        send_request($connection, $server->{host}, $row->{method}, request_for($row, $s, $upload), $server->{credentials}{ $column->{name} });
        my $response = read_answer($connection, $row);
        judge($row, $column, $response, $s, $upload);
        restore($server, $row, $response);
    }
    $_->close for values %connections;
    return;
}

# Another nginx has a site of its own at the root.
sub is_ours ($row, $column) { return !$column->{certificate} || $row->{pattern} ne '/' }

# Many at the same time: nginx answers a wrong password, and a body that isn't wanted, after 100 ms.
sub run_together ($server, @cells) {
    my %connections;
    while (my @batch = splice @cells, 0, $server->{at_once}) {
        my ($i, @sent) = 0;
        for my $cell (@batch) {
            my ($row, $column) = @$cell;
            my $s          = subject($server, $row->{kind});
            my $upload     = upload_of($server, $column, $row);
            my $connection = $connections{ $column->{certificate} // '' }[ $i++ ] //= $server->{connect}->($column);
            send_request($connection, $server->{host}, $row->{method}, request_for($row, $s, $upload), $server->{credentials}{ $column->{name} });
            push @sent, [ $row, $column, $connection, $s, $upload ];
        }
        for my $one (@sent) {
            my ($row, $column, $connection, $s, $upload) = @$one;
            judge($row, $column, read_answer($connection, $row), $s, $upload);
        }
    }
    $_->close for map { grep { defined } @$_ } values %connections;
    return;
}

# Does it get as far as a handler? Those may change the store, and an address has only a part of the workers.
sub is_served ($row, $column) {
    return 0 if $row->{method} eq 'OPTIONS' || !defined $row->{right};
    return may($row, $column) || ($row->{pattern} =~ /\{id\}/ && $row->{right} eq 'PULL' && defined user_of($row, $column));
}

sub run_columns ($server, @columns) {
    my @cells = map { my $row = $_; map { [ $row, $_ ] } grep { is_ours($row, $_) } @columns } @rows;
    run_together($server, grep { !is_served(@$_) } @cells);
    run_singly($server, grep { is_served(@$_) } @cells);
    return;
}

sub make_server (%o) {
    return { %o, parts => { map { $_ => make_part($_) } 'public', 'private' }, missing => $NAME{missing}, names => [@MISSING], uploads => {} };
}

my $tmp = tempdir();

sub make_directory ($name) {
    mkdir $_ for "$tmp/$name", "$tmp/$name/auth";
    chown((getpwnam 'www-data')[ 2, 3 ], "$tmp/$name/auth") if is_root();
    spew("$tmp/$name/auth/access", $RULES);
    return "$tmp/$name";
}

# ---- passwords and tokens ----

my $started  = time;
my %PASSWORD = (ann => 'ann-secret', bob => 'bob-secret', eve => 'eve-secret');
my $registry = Registry->start(dir => make_directory('own'), args => [ '--max-wrong-passwords', 1_000_000, map { ('--user', "$_:$PASSWORD{$_}") } sort keys %PASSWORD ]);

sub add_user ($name, @more) {
    my $ran = Registry->try([ 'user', 'add', $name, @more, '--dir', $registry->dir ], stdin => "third-secret\n");
    is($ran->{exit}, 0, "user add $name") or diag($ran->{err});
    return $ran->{out} =~ s/\n//r;
}

$PASSWORD{gone} = 'third-secret';
add_user('gone');
$PASSWORD{ci}   = add_user('ci',   '--robot');
$PASSWORD{late} = add_user('late', '--robot', '--expires', '1s');

sub basic ($pair) { return 'Basic ' . encode_base64($pair, '') }
sub as ($user) { return $registry->with(user => "$user:$PASSWORD{$user}") }

# From the server: @CATALOG, or for some actions in some repositories.
my @CATALOG = 'registry:catalog:*';
sub scopes ($actions, @names) { return map { "repository:$_:$actions" } @names }

sub token ($user, @scopes) {
    my $answer = as($user)->get('/v2/_token?scope=' . join '%20', @scopes);
    return $answer->json->{token} // die "no token: " . $answer->describe;
}

# As the server makes it, but in the past: HMAC over the bytes that follow, with ann's line in the key.
sub expired_token (@names) {
    my ($line) = grep { /^ann:/ } split /\n/, slurp($registry->dir . '/run/htpasswd');
    my $head = pack('CCQ>Q>n/aC', 1, 1, time - 700, time - 100, 'ann', 1) . join '', map { pack 'Cn/a', 7, $_ } @names;
    my $key  = hmac_sha256('access', hmac_sha256('bearer', slurp($registry->dir . '/auth/token.key')));
    return encode_base64url($head . hmac_sha256($head, hmac_sha256(substr(sha256($line), 0, 16), $key)));
}

sub flip_token ($token) {
    my $bytes = decode_base64url($token);
    substr($bytes, -5, 1) ^.= "\x10";
    return encode_base64url($bytes);
}

my $server = make_server(
    host    => '127.0.0.1:' . $registry->port,
    at_once => 150,
    connect => sub ($column) { return $registry->connect // die "no connection\n" },
    clients => { ann => as('ann'), ci => as('ci') },
);
fill(as('ann'), $server->{parts});
my @all = (@NAME{qw(public private missing)}, $SOURCE, @MISSING);
$server->{credentials} = {
    none  => undef,
    wrong => basic('ann:wrong'),
    (map { $_ => basic("$_:$PASSWORD{$_}") } qw(ann bob eve ci late)),
    token => 'Bearer ' . token('ann', @CATALOG, scopes('pull,push,delete', @all)),
    other => 'Bearer ' . token('ann', scopes('pull,push,delete', $SOURCE)),
    pull  => 'Bearer ' . token('ann', scopes('pull', @all)),
    old   => 'Bearer ' . expired_token(@all[ 0 .. 3 ]),
    bit   => 'Bearer ' . flip_token(token('ann', @CATALOG, scopes('pull,push,delete', @all[ 0 .. 3 ]))),
    gone  => 'Bearer ' . token('gone', @CATALOG, scopes('pull,push,delete', @all[ 0 .. 3 ])),
    v1    => 'Token ' . as('ann')->get('/v1/users')->header('X-Docker-Token'),
};
is(Registry->try([ 'user', 'del', 'gone', '--dir', $registry->dir ])->{exit}, 0, 'user del gone');
ok(wait_for(10, sub { as($_)->get('/v2/')->status == 401 }), "$_ is refused") for 'gone', 'late';

run_columns($server, grep { !$_->{certificate} } @COLUMNS);
$registry->stop;
note(sprintf 'passwords and tokens: %.1f s', time - $started);

# ---- certificates ----

# A connection by TLS, with a certificate: openssl's client in the middle.
package CertifiedConnection {
    use parent -norequire, 'Registry::Connection';
    use IO::Socket ();
    use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

    sub open ($class, @command) {
        my $self = bless { command => \@command, timeout => 30 }, $class;
        $self->_connect;
        return $self;
    }

    sub _connect ($self) {
        my ($ours, $its) = IO::Socket->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC);
        $self->close if $self->{pid};
        $self->{pid} = fork // die "fork: $!";
        if ($self->{pid} == 0) {
            CORE::open STDIN,  '<&', $its        or POSIX::_exit(126);
            CORE::open STDOUT, '>&', $its        or POSIX::_exit(126);
            CORE::open STDERR, '>',  '/dev/null' or POSIX::_exit(126);
            { no warnings 'exec'; exec { $self->{command}[0] } @{ $self->{command} } }
            POSIX::_exit(127);
        }
        $ours->blocking(0);
        @$self{qw(socket seen over)} = ($ours, '', 0);
        return 1;
    }

    sub close ($self) {
        $self->{socket}->close if $self->{socket};
        $self->{socket} = undef;
        my $pid = delete $self->{pid} // return;
        kill 'TERM', $pid;
        waitpid $pid, 0;
        return;
    }
}

package CertifiedClient {
    use parent -norequire, 'Registry::Client';
    sub connect ($self) { return CertifiedConnection->open(@{ $self->{command} }) }
}

sub make_authority ($dir) {
    my @NEW  = qw(openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes);
    my $made = run([ @NEW, qw(-x509 -days 2 -subj /CN=Clients), '-keyout', "$dir/ca.key", '-out', "$dir/ca.crt" ]);
    die "openssl: $made->{err}" if $made->{exit};
    my %SUBJECT = (ann => '/CN=ann', bob => '/CN=bob', two => '/CN=ann/CN=bob');
    for my $who (sort keys %SUBJECT) {
        my @key = (@NEW, '-new', '-subj', $SUBJECT{$who}, '-keyout', "$dir/$who.key", '-out', "$dir/$who.csr");
        my @sign = (qw(openssl x509 -req -days 2 -CAcreateserial -CA), "$dir/ca.crt", '-CAkey', "$dir/ca.key", '-in', "$dir/$who.csr", '-out', "$dir/$who.crt");
        for my $command (\@key, \@sign) {
            my $ran = run($command);
            die "openssl: $ran->{err}" if $ran->{exit};
        }
    }
    return;
}

my $certified = time;
my $behind    = Registry->start(dir => make_directory('behind'), fastcgi => "$tmp/sockets", args => ['--trust-remote-user']);
my @options   = ('--dir', $behind->dir, '--fastcgi', "$tmp/sockets", '--trust-remote-user');
make_authority($tmp);
make_certificate($tmp, 'site');
# The map of the manual, which says whose certificate it is.
my ($map) = join("\n", manual_examples('nginx.7', 'CLIENT CERTIFICATES', 'nginx')) =~ /^(map .*?^\s*\})$/ms;
my $site = Registry::Nginx->start(
    listen => 'ssl',
    files  => { map { ("$_.conf" => Registry->try([ 'print-nginx-conf', "--$_", @options ])->{out}) } 'http', 'server' },
    http   => "include http.conf;\n$map",
    server => join("\n", "ssl_certificate $tmp/site.crt;", "ssl_certificate_key $tmp/site.key;", 'ssl_verify_client on;',
        "ssl_client_certificate $tmp/ca.crt;", 'location = /healthz { rewrite ^ /_registry_main/healthz last; }', 'include server.conf;'),
);
ok($site, 'an nginx with certificates') or BAIL_OUT(Registry::Nginx->last_words);

sub command_of ($who) {
    return (qw(openssl s_client -quiet -connect), '127.0.0.1:' . $site->port, '-CAfile', "$tmp/site.crt", '-cert', "$tmp/$who.crt", '-key', "$tmp/$who.key");
}

my $ann   = CertifiedClient->new(port => $site->port, command => [ command_of('ann') ]);
my $other = make_server(
    host        => '127.0.0.1:' . $site->port,
    at_once     => 30,
    connect     => sub ($column) { return CertifiedConnection->open(command_of($column->{certificate})) },
    clients     => { ann => $ann },
    credentials => {},
);
fill($ann, $other->{parts});
run_columns($other, grep { $_->{certificate} } @COLUMNS);
$site->stop;
$behind->stop;
note(sprintf "certificates: %.1f s", time - $certified);

# ---- the table ----

my @names = map { $_->{name} } @COLUMNS;

sub write_table () {
    my $text = <<~'END';
        # The statuses of tests/t/075-access-matrix.t: a line for each route, method and kind of repository, a column for each kind
        # of credentials. REGISTRY_MATRIX_WRITE=1 makes that test write this file. Then each change has to be what
        # docker-registry-server-config(5), ACCESS RULES, and docker-registry-server-api(7), TOKENS and RIGHTS, say.
        #
        # Everybody may pull from the public repository. The private one and the missing one are of ann and ci.
        #
        END
    $text .= sprintf "#   %-6s %s\n", $_->{name}, $_->{title} for @COLUMNS;
    my $format = '%-7s %-46s %-8s' . ' %-5s' x @names;
    my $before = '';
    for my $row (@rows) {
        my $heading = "$row->{pattern} $row->{kind}";
        $text .= "\n" . (sprintf($format, '#METHOD', 'ROUTE', '', @names) =~ s/ +$//r) . "\n" if $before =~ s/ \S+$//r ne $row->{pattern};
        $before = $heading;
        $text .= sprintf($format, @$row{qw(method pattern kind)}, map { $seen{ $row->{key} }{$_} // '-' } @names) =~ s/ +$//r . "\n";
    }
    spew($FILE, $text);
    return;
}

write_table() if $ENV{REGISTRY_MATRIX_WRITE};

my %want;
for my $line (grep { /^[^#]/ } split /\n/, slurp($FILE)) {
    my ($method, $pattern, $kind, @statuses) = split ' ', $line;
    $want{"$method $pattern $kind"} = { map { $names[$_] => $statuses[$_] } 0 .. $#names };
}

for my $pattern (@$order) {
    my @wrong;
    for my $row (grep { $_->{pattern} eq $pattern } @rows) {
        my $want = delete $want{ $row->{key} };
        push @wrong, "$row->{key}: has no line in the file" if !$want;
        next if !$want;
        my $seen = $seen{ $row->{key} };
        push @wrong, map { "$row->{key}, $_: " . ($seen->{$_} // '-') . ", not $want->{$_}" } grep { ($seen->{$_} // '-') ne ($want->{$_} // '') } @names;
    }
    ok(!@wrong, "statuses of $pattern") or diag(join "\n", @wrong);
}
is_deeply([ sort keys %want ], [], 'each line of the file is of a route');

# ---- what holds everywhere ----

my $compared = 0;
for my $request (sort keys %shapes) {
    for my $column (@COLUMNS) {
        my $by_kind = $shapes{$request}{ $column->{name} } // next;
        my ($private, $missing) = @$by_kind{qw(private missing)};
        $compared++;
        next if $private eq $missing;
        push @{ $wrong{'a hidden repository looks like a missing one'} }, "$request, $column->{name}:\n$private\n---- but\n$missing";
    }
}
cmp_ok($compared, '>', 2000, 'answers for private and missing repositories are compared');
for my $what ('no answer is a 5xx', 'each 401 has a challenge', 'nobody is let in without a right', 'nothing internal is shown',
    'nothing private is shown without the right to pull', 'a hidden repository looks like a missing one') {
    my @found = @{ $wrong{$what} // [] };
    ok(!@found, $what) or diag(scalar(@found) . " times, such as\n" . join "\n", splice @found, 0, 5);
}

finish();
