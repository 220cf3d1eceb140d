# The files of the web page: where they are served, with which headers, and how they are left out.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Nginx;
use Registry::Tools;
use Test::More;

my %SAFE = (
    'Content-Security-Policy' => qr/^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'$/,
    'X-Content-Type-Options' => 'nosniff',
    'Referrer-Policy'        => 'no-referrer',
    'X-Frame-Options'        => 'DENY',
    'Cache-Control'          => 'no-cache',
);
my $BROWSER = { Accept => 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

sub is_page ($response, $name) {
    return is_status($response, 200, $name, 'Content-Type' => 'text/html; charset=utf-8', %SAFE) && like($response->content, qr/^<!doctype html>/, '... the page itself');
}

my $registry = Registry->start(args => [ '--user', 'ann:secret' ]);

subtest 'its addresses' => sub {
    is_page($registry->get($_), $_) for '/ui/', '/ui/team/app', '/ui/team/app:v1/files/etc/passwd', '/ui/team/app@sha256:' . 'a' x 64 . '/files/a%20b/%FF',
        '/ui/index.html', '/ui/a?q=1', '/ui//', '/ui/team/', '/ui/x:1/files/_ui/../_ui/app.jsx', '/ui/_search?q=a%2Fb';
    is_page($registry->with->get('/ui/'), 'no password is needed');
    is_page($registry->with(user => 'ann:wrong')->get('/ui/'), '... and none is looked at');
    is_status($registry->get('/ui'), 301, 'without the slash', Location => 'ui/');
    is_status($registry->head('/ui/'), 200, 'HEAD', %SAFE);
    is_v1_error($registry->post('/ui/', body => 'x'), 405, 'POST');
    is_v1_error($registry->post('/ui/', body => 'x' x 9000), 413, '... of more');
};

subtest 'its files' => sub {
    my %type = (js => 'text/javascript; charset=utf-8', css => 'text/css; charset=utf-8', svg => 'image/svg+xml');
    my $page = $registry->get('/ui/')->content;
    my @names = $page =~ /(?:src|href)="(_ui\/[^"]+)"/g;
    cmp_ok(scalar @names, '>', 2, 'the page names files');
    for my $name (@names) {
        my ($suffix) = $name =~ /\.(\w+)$/;
        my $found = $registry->get("/ui/$name");
        is_status($found, 200, $name, 'Content-Type' => $type{$suffix}, %SAFE);
        is($registry->get("/ui/team/app:v1/files/etc/$name")->content, $found->content, '... and at any depth');
        is_status($registry->get("/ui/$name", headers => { 'If-None-Match' => $found->header('ETag') }), 304, '... asked for again');
    }
    is_v1_error($registry->get("/ui/_ui/$_"), 404, "no $_") for 'nothing.js', 'x.css';
    is_page($registry->get("/ui/_ui/$_"), "$_ is an address") for 'index.html', '../master.pid', '..%2fmaster.pid', 'a/../../x', '.js', 'app.js/';
    is_v1_error($registry->get("/ui/_ui/$_"), 400, "$_ is none") for '..%2f..%2fauth%2ftoken.key', 'app.js%00';
    is((stat $registry->dir . '/run/ui')[2] & 07777, 0700, 'the copies are the server\'s alone');
};

subtest '/' => sub {
    is_status($registry->get('/', headers => $BROWSER), 302, 'leads a browser to the page', Location => 'ui/');
    is_status($registry->head('/', headers => $BROWSER), 302, 'HEAD, too');
    my $plain = $registry->get('/');
    is_status($plain, 200, 'others get what they always got');
    is($registry->get('/', headers => { Accept => $_ })->content, $plain->content, "Accept: $_") for '*/*', 'application/json', 'text/htmlx', 'text/plain, text/html2;q=1';
    is_status($registry->get('/', headers => { Accept => $_ }), 302, "Accept: $_") for 'text/html', 'TEXT/HTML; q=0.9', 'a/b, text/html', 'a/b,text/html,c/d';
    isnt($registry->post('/', headers => $BROWSER, body => 'x')->status, 302, 'POST is no visit');
    is_status($registry->get('/healthz', headers => $BROWSER), 200, '/healthz is for everybody');
};

subtest '--no-ui' => sub {
    my $without = Registry->start(args => ['--no-ui']);
    is_v1_error($without->get($_), 404, "$_ is not there") for '/ui/', '/ui', '/ui/_ui/app.js';
    is($without->get('/', headers => $BROWSER)->content, $without->get('/')->content, '/ is what it was, for browsers too');
    ok(!-e $without->dir . '/run/ui', 'and there are no files');
    $without->stop;
};

subtest 'files that are not there' => sub {
    my $tmp = tempdir();
    is(run([ 'cp', Registry->program, "$tmp/alone" ])->{exit}, 0, 'the program alone');
    my $alone = Registry->start(program => "$tmp/alone");
    SKIP: {
        skip 'the page is installed on this machine', 2 if -e $alone->dir . '/run/ui/index.html';
        is_v1_error($alone->get('/ui/'), 404, 'it has no page');
        like($alone->log, qr{level=warn msg="the web page /ui/ is left out, as with --no-ui" why=}, '... and says so');
    }
    is_status($alone->get('/v2/'), 200, '... and all else works');
    $alone->stop;

    mkdir "$tmp/ui";
    spew("$tmp/ui/$_", "content of $_") for 'index.html', 'app.js', 'README', 'a.b.js', '.hidden.js', 'app.js~';
    $alone = Registry->start(program => "$tmp/alone", dir => $alone->dir);
    is($alone->get('/ui/')->content, 'content of index.html', 'another page beside the program');
    is_deeply([ sort $alone->files('run/ui') ], [ 'run/ui/app.js', 'run/ui/index.html' ], '... of which only known kinds of files are served');
    unlink "$tmp/ui/app.js";
    symlink '/etc/passwd', "$tmp/ui/app.js";
    mkdir "$tmp/ui/x.js";
    $alone->stop;
    my $again = Registry->start(program => "$tmp/alone", dir => $alone->dir);
    like($again->log, qr{msg="the web page /ui/ is left out, as with --no-ui" why="[^"]*x\.js}, 'a directory in the place of a file');
};

subtest 'behind another nginx' => sub {
    my $tmp     = tempdir();
    my $behind  = Registry->start(dir => "$tmp/data", fastcgi => "$tmp/sockets");
    my @options = ('--dir', "$tmp/data", '--fastcgi', "$tmp/sockets");
    my $printed = sub ($part, @more) { return Registry->try([ 'print-nginx-conf', "--$part", @options, @more ])->{out} };
    my $HOSTILE = <<~'END';
        root www;
        auth_basic "the site";
        auth_basic_user_file nobody;
        error_page 404 /missing.html;
        location / { index index.html; }
        location ~ \.php$ { return 200 stolen; }
        location ~* \.(js|css|html)$ { return 200 stolen; }
        END
    my $site = Registry::Nginx->start(http => "include http.conf;\nadd_header X-Site yes always;\ngzip on;\ngzip_types *;\n", server => "include server.conf;\n$HOSTILE",
        files => { 'http.conf' => $printed->('http'), 'server.conf' => $printed->('server'), nobody => '' });
    ok($site, 'nginx takes the page') or diag(Registry::Nginx->last_words);
    my $client = $site->client;
    is_page($client->get('/ui/team/app:v1/files/a.php'), 'the page');
    is_status($client->get('/ui/_ui/app.js'), 200, 'a file', 'Content-Type' => 'text/javascript; charset=utf-8', 'X-Site' => undef, %SAFE);
    is_status($client->get('/ui'), 301, 'without the slash', Location => 'ui/');
    isnt($client->get('/', headers => $BROWSER)->status, 302, '/ belongs to the site');
    unlike($printed->('server', '--no-ui'), qr{/ui/|_ui}, '--no-ui leaves it out');
    $site->stop;
};

finish();
