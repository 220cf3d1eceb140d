#!/usr/bin/perl
# The table of routes against nginx's configuration: for each route, nginx chooses the pool that the
# table says, gives the right ROLE, and asks for a password where one may be needed.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# ---- the templates, expanded as src/process/nginx/nginx_conf.c does it ----

my %blocks = slurp('conf/blocks.conf') =~ /^# ---- \@(\w+)\@[^\n]*\n(.*?)(?=^# ---- |\z)/msg;
my %values = (
    AT => '@', NAME => 'main',     DIR     => '',      SOCKETS  => 'run/', HTPASSWD => 'htpasswd',
    MAX_BLOB => 0, BLOBS => 'layers', MAX_CONNECTIONS => 1, VERSION => '1',     WORKERS  => 8,      NOFILE   => 1024,   CONNECTIONS => 512,
    UI_FILES => 'run/ui/', WRITE_ACCESS_LOG => '', S3_CACHE => '',
    LISTEN   => 'listen 1', TLS     => '', REAL_ADDRESS => '', PROXIES_BELIEVED => '',      CORS_ORIGINS => '', CORS_ANY => '', CORS_VARIES => '',
    ERROR_CODES => '', ERROR_TEXTS => '', ERROR_HINTS => '', ERROR_RETRIES => '', REFUSALS => '',
);

sub expand ($text, $depth = 0) {
    die "too deep" if $depth > 8;
    $text =~ s/^\s*#.*$//mg;
    $text =~ s{\@(\w+)\@}{ $values{$1} // expand($blocks{$1} // die("no block $1"), $depth + 1) }ge;
    return $text;
}

# A block of directives: [ [words...], [words..., [directives...]], ... ]
sub parse ($tokens) {
    my (@directives, @words);
    while (defined(my $token = shift @$tokens)) {
        if ($token eq ';') { push @directives, [@words]; @words = () }
        elsif ($token eq '{') { push @directives, [ @words, parse($tokens) ]; @words = () }
        elsif ($token eq '}') { last }
        else { push @words, $token =~ s/^(['"])(.*)\1$/$2/r }
    }
    return \@directives;
}

sub tokens ($text) { return [ $text =~ /"(?:[^"\\]|\\.)*"|'[^']*'|[;{}]|[^\s;{}"']+/g ] }

my $conf = parse(tokens(expand(slurp('conf/standalone.conf'))));
my ($http)   = map { $_->[-1] } grep { $_->[0] eq 'http' } @$conf;
my ($server) = map { $_->[-1] } grep { $_->[0] eq 'server' } @$http;

# ---- nginx, as far as it matters here ----

sub locations ($block) { return grep { $_->[0] eq 'location' } @$block }

# The locations that the path goes through, outermost first.
sub locate ($block, $path) {
    my ($best, @regexes);
    for my $location (locations($block)) {
        my $kind = @$location == 4 ? $location->[1] : '';
        my $text = $location->[-2];
        return ($location) if $kind eq '=' && $path eq $text;
        if ($kind eq '~') { push @regexes, $location }
        elsif ($kind ne '=' && index($path, $text) == 0) {
            $best = $location if !$best || length $text > length $best->[-2];
        }
    }
    my @inner = $best ? locate($best->[-1], $path) : ();
    return ($best, @inner) if @inner;
    if (!$best || $best->[1] ne '^~') {
        for my $location (@regexes) {
            return ($location) if $path =~ /$location->[-2]/;
        }
    }
    return $best // ();
}

# The arguments of a directive, from the innermost location that has it. fastcgi_param is inherited
# as a whole, or not at all.
sub setting ($chain, $name, $param = undef) {
    for my $location (reverse @$chain) {
        my @all = grep { $_->[0] eq $name } @{ $location->[-1] } or next;
        @all = grep { $_->[1] eq $param } @all if defined $param;
        return @all ? $all[-1]->[-1] : '';
    }
    return '';
}

# The locations that serve the request in the end, and what they have set: one may send it on.
sub arrive ($path, $request) {
    my @chain = locate($server, $path);
    my %set   = %$request;
    for my $directive (@{ $chain[-1]->[-1] }) {
        $set{ $directive->[1] =~ s/^\$//r } = value($directive->[2], \%set)
            if $directive->[0] eq 'set' && !exists $request->{ $directive->[1] =~ s/^\$//r };
        next if $directive->[0] ne 'if' || $directive->[-1][0][0] ne 'rewrite' || $directive->[1] !~ /^\(\$(\w+)\)$/;
        my $to = value("\$$1", \%set);
        return arrive($to, \%set) if $to ne '';
    }
    return (\@chain, \%set);
}

# The value of a text with variables: those of the request, and those of maps.
sub value ($text, $request) {
    return $text =~ s{\$(\w+)}{ $request->{$1} // map_value($1, $request) }ger;
}

sub map_value ($name, $request) {
    my ($map) = grep { $_->[0] eq 'map' && $_->[2] eq "\$$name" } @$http;
    die "no map for \$$name" if !$map;
    my $source = value($map->[1], $request);
    my $default;
    my @regexes;
    for my $entry (@{ $map->[-1] }) {
        my ($key, $result) = @$entry;
        if    ($key eq 'default') { $default = $result }
        elsif ($key =~ /^~\*(.*)/) { push @regexes, [ qr/$1/i, $result ] }
        elsif ($key =~ /^~(.*)/)   { push @regexes, [ qr/$1/, $result ] }
        elsif ($key eq $source)    { return value($result, $request) }
    }
    for my $regex (@regexes) {
        return value($regex->[1], $request) if $source =~ $regex->[0];
    }
    return value($default // '', $request);
}

# ---- the table ----

my $table = slurp('src/protocol/routes.c');
my %macros = $table =~ /^#define (\w+) \(?([A-Z_ |]+)\)?$/mg;

sub methods ($text) {
    $text =~ s/\b(\w+)\b/$macros{$1} \/\/ $1/ge;
    return $text =~ /HTTP_(\w+)/g;
}

my @rows = $table =~ /^\s*\{(.+?),\s*"([^"]+)",\s*VERB_(\w+),\s*POOL_(\w+),\s*\w+\},/mg;
cmp_ok(@rows / 4, '>', 10, 'the table has routes');
my $begun = () = $table =~ /^\s*\{.*"\//mg;
is(@rows / 4, $begun, 'and each of its rows is understood');

# Names that look like something else.
my @names = ('a', 'library/a', 'a/blobs', 'a/blobs/uploads', 'a/manifests', 'v1/_ping', 'a.php');
my %variables = (
    n => 0, digest => 'sha256:' . 'ab' x 32, reference => 'latest', upload => '0123-abcd', tag => 'latest', user => 'ann', id => 'ab' x 32,
);

# Files in an image may be called like anything that nginx chooses by.
my @insides = ('', '/', '/etc', "/a b/\xff", "/two\nlines", '/x/manifests/y', '/x/blobs/uploads/', '/layer', '/_image/a/tree', '/a.php');

sub paths ($pattern) {
    my ($path) = $pattern =~ /^([^?]*)/;
    $path =~ s/\{(\w+)\}/ $1 eq 'name' ? '{name}' : $variables{$1} \/\/ die "what is {$1}?" /ge;
    my @paths = $path =~ /\{name\}/ ? map { $path =~ s/\{name\}/$_/r } @names : ($path);
    return map { my $p = $_; map { $p =~ s{/\.\.\.$}{$_}r } @insides } @paths if $path =~ m{/\.\.\.$};
    return $path =~ m{^/v1/} ? map { ($_, "$_/") } @paths : @paths;
}

# The location that would send the paths of a pattern to a pool.
sub advice ($pattern, $verb, $pool, $upload) {
    my ($path, $rest) = $pattern =~ m{^([^?]*?)(/\.\.\.)?(?:\?.*)?$};
    my ($outer)  = grep { $_->[1] eq '^~' && index($path, $_->[2]) == 0 } locations($server);
    my $block    = $verb eq 'PUBLIC' ? 'OPEN' : $upload ? 'UPLOAD' : $pool;
    my $location = $path =~ /\{/ || $path =~ m{^/v1/}
        ? 'location ~ ^' . ($path =~ s/\{name\}/.+/r =~ s/\{\w+\}/[^\/]+/gr) . ($rest ? '(/|\z)' : $path =~ m{^/v1/} ? '/?\z' : '\z')
        : "location = $path";
    return 'in conf/blocks.conf, block LOCATIONS, ' . ($outer ? "inside of `location ^~ $outer->[2]`" : 'at its top')
        . ", before what fits as well: $location { " . ($block eq 'OPEN' ? '' : '@USERS@ ') . "\@$block\@ }";
}

my %asked;
while (my ($methods, $pattern, $verb, $pool) = splice @rows, 0, 4) {
    my ($parameter) = $pattern =~ /\?(\w+)$/;
    for my $method (methods($methods)) {
        my $upload = $pattern =~ m{/blobs/uploads|/layer$} && $method =~ /^(POST|PATCH|PUT)$/;
        my @wrong;
        for my $path (paths($pattern)) {
            my %request = (
                request_method => $method,
                uri            => $path,
                registry_asked_main => 1,    # there are pre-hooks
                arg_digest     => ($parameter // '') eq 'digest' ? 'sha256:ab' : '',
                server_protocol        => 'HTTP/1.1',
                content_length         => $method =~ /^P/ ? 5 : '',
                http_transfer_encoding => '',
            );
            my ($chain, $set) = arrive($path, \%request);
            my @chain = @$chain;
            my $goes  = value(setting(\@chain, 'fastcgi_pass'), $set) =~ s/^registry_(\w+)_main$/\U$1/r;
            my $role  = value(setting(\@chain, 'fastcgi_param', 'ROLE'), $set);
            my $realm = setting(\@chain, 'auth_basic');

            # The body of an upload goes to a file, and may begin only when a worker agrees.
            my $body   = setting(\@chain, 'fastcgi_pass_request_body') eq 'off' && setting(\@chain, 'auth_request') =~ m{/authorize$};
            my ($other, $otherwise) = arrive($path, { %request, registry_asked_main => '' });
            my $else  = value(setting($other, 'fastcgi_pass'), $otherwise) =~ s/^registry_(\w+)_main$/\U$1/r;
            push @wrong, "$path: pool $goes" if $goes ne $pool;
            push @wrong, "$path: pool $else without pre-hooks" if $else ne ($pool eq 'GATE' ? 'API' : $pool);
            push @wrong, "$path: role $role" if $role ne ($upload ? 'upload' : 'main');
            push @wrong, "$path: the body goes through FastCGI" if $upload && !$body;
            push @wrong, "$path: a stranger's body is read"
                if $verb ne 'PUBLIC' && $method =~ /^P/ && setting(\@chain, 'auth_request') !~ m{/(authorize|ask)$};
            # Where tokens are given, everybody may ask, and a password is checked if there is one.
            my $gives = $pattern eq '/v2/_token';
            push @wrong, "$path: password: $realm" if $realm ne ($verb eq 'PUBLIC' && !$gives ? 'off' : '$registry_realm_main');
            push @wrong, "$path: a stranger's body of more than 16k is read"
                if $verb eq 'PUBLIC' && $method =~ /^P/ && setting(\@chain, 'client_max_body_size') ne '16k';
            push @wrong, "$path: a bulk worker for what is no upload"
                if $goes eq 'BULK' && !$upload && $pattern !~ m{/checksum$};
            $asked{$goes} = 1;
        }
        splice @wrong, 3;
        none(\@wrong, "$method $pattern: \L$pool\E")
            or diag(advice($pattern, $verb, $pool, $upload));
    }
}

my @upstreams = sort grep { $_ ne 'HERALD' }
    map { $_->[1] =~ /^registry_(\w+)_main$/ ? uc $1 : $_->[1] } grep { $_->[0] eq 'upstream' } @$http;
is_deeply([ sort keys %asked ], \@upstreams, 'each pool of nginx is one that routes go to');

# A parameter that is given twice is sent twice, and the worker would look at the first.
sub doubled ($block) {
    my %seen;
    my @doubled = grep { $seen{$_}++ } map { $_->[1] } grep { $_->[0] eq 'fastcgi_param' } @$block;
    return @doubled, map { my $l = $_; map { "$_ in $l->[-2]" } doubled($l->[-1]) } locations($block);
}
none([ doubled($server) ], 'no location gives a fastcgi_param twice');

# What nginx sends is read: the names stand in the sources as strings.
my $templates = join '', map { slurp($_) } files('conf/*.conf');
my $strings   = join '', map { slurp($_) } grep { /\.c$/ } sources();
my %sent      = map { $_ => 1 } $templates =~ /^\s*fastcgi_param (\w+)/mg;
cmp_ok(scalar keys %sent, '>', 10, 'nginx sends parameters');
none([ grep { $strings !~ /"$_"/ } sort keys %sent ], '... and a worker reads each');
none([ grep { $templates !~ /^(?!# ---- ).*\@$_\@/m && $strings !~ /"$_"/ } sort keys %blocks ], 'each block of conf/blocks.conf is used');

# The errors that nginx answers by itself: their status, and the word behind it that tells reasons apart.
my %made;
while ($blocks{ERRORS} =~ /^error_page ([\d ]+?)(?: =(\d*))? \/[^?;]*(?:\?([^;]+))?;/mg) {
    my ($statuses, $status, $word) = ($1, $2, $3 // '');
    $made{ ($status || $_) . ($word =~ /^\$/ ? '' : $word) } = 1 for split ' ', $statuses;
}
my @rows_of_nginx = slurp('src/protocol/http/error_table.c') =~ /^ +\{"(\w+)", ERR_/mg;
# "default" stands for a plain 400, and a password that is wrong makes a 401, too.
is_deeply([ sort keys %made ], [ sort grep({ $_ ne 'default' && $_ ne '401wrong' } @rows_of_nginx), '400' ], 'each error of nginx has its row in error_table.c');

# In somebody else's nginx, a site's regular expressions come before a plain prefix. No path leads to a named location.
my @beaten = grep { $_->[1] !~ /^(=|\^~|\@registry_\w+_main)$/ } locations(parse(tokens(expand('@LOCATIONS@'))));
none([ map { $_->[-2] } @beaten ], 'no location of ours can be taken over by a site');

# To the path of a prefix without its last slash nginx answers with a redirect in HTML, unless that has a location.
sub redirecting ($block) {
    my @all   = locations($block);
    my %exact = map { $_->[-2] => 1 } grep { $_->[1] eq '=' } @all;
    my @found = map { $_->[-2] } grep {
        my $l = $_;
        $l->[1] !~ /^[=~]/ && $l->[-2] =~ m{^(/.+)/$} && !$exact{$1}
            && (grep { $_->[0] eq 'fastcgi_pass' } @{ $l->[-1] }) && !grep { $_->[0] eq 'internal' } @{ $l->[-1] }
    } @all;
    return @found, map { redirecting($_->[-1]) } @all;
}
none([ redirecting($server) ], 'no location makes nginx redirect to it');

# What nobody outside may enter.
for my $path ('/_registry_main/authorize', '/_registry_main/v2/blob/sha256/ab/x', '/_registry_main/events/sse/1/new', '/_registry_main/error', '/_registry_main/x') {
    my @chain = locate($server, $path);
    ok((grep { $_->[0] eq 'internal' } @{ $chain[-1][-1] }), "$path is internal");
}
done_testing();
