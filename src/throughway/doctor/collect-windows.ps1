<#
.SYNOPSIS
Gathers what `throughway doctor` reads about DirectAccess into one zip file. It only reads.

.DESCRIPTION
Runs on a DirectAccess client or server with Windows PowerShell 5.1 (3.0 is enough). Nothing on the
machine is changed: no setting, no service, no log. Of certificates only the public part is taken,
and keys that stand in a rule are blanked. Run it elevated: without, parts stay unanswered.

    powershell -ExecutionPolicy Bypass -File collect.ps1
    throughway doctor directaccess-PC1-20260102-030405.zip

.PARAMETER Destination
The folder in which the zip file is put; by default the current one.

.PARAMETER Days
How far back event logs are taken.

.PARAMETER Redact
Replaces the names of this computer, its domain and its user, and security identifiers, and leaves
out certificate files and binary logs. `throughway redact` replaces addresses and thumbprints, too.

.PARAMETER NoNetwork
Sends nothing: no lookups, no connection to the DirectAccess server.
#>
[CmdletBinding()]
param(
    [string] $Destination = (Get-Location).Path,
    [int] $Days = 7,
    [switch] $Redact,
    [switch] $NoNetwork
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Continue'
$ProgressPreference = 'Continue'
$FormatEnumerationLimit = -1
$Version = 1
$Started = Get-Date
$Stamp = $Started.ToString('yyyyMMdd-HHmmss')
$Utf8 = New-Object System.Text.UTF8Encoding($false)
$Salt = [Guid]::NewGuid().ToString()
$Entries = New-Object System.Collections.ArrayList
$Folder = Join-Path ([IO.Path]::GetTempPath()) ('directaccess-' + [Guid]::NewGuid().ToString('N'))
[void] (New-Item -ItemType Directory -Path $Folder)

# --- Redaction -----------------------------------------------------------------------------------

$Names = New-Object System.Collections.ArrayList

function Add-Name([string] $Name) {
    foreach ($part in ($Name -split '\.')) {
        $common = @('com', 'net', 'org', 'local', 'corp', 'lan', 'ad', 'system', 'workgroup', 'administrator')
        if ($part.Length -ge 3 -and $common -notcontains $part.ToLowerInvariant()) {
            if ($Names -notcontains $part) { [void] $Names.Add($part) }
        }
    }
}

function Get-Pseudonym([string] $Text, [string] $Alphabet) {
    $hash = [Security.Cryptography.SHA256]::Create()
    $bytes = $hash.ComputeHash([Text.Encoding]::UTF8.GetBytes($Salt + $Text.ToLowerInvariant()))
    $result = ''
    for ($i = 0; $i -lt $Text.Length; $i++) {
        $result += $Alphabet[$bytes[$i % $bytes.Length] % $Alphabet.Length]
    }
    return $result
}

function Hide-Secret([string] $Text) {
    return [regex]::Replace($Text, '(?im)^(\s*Auth\dPSK\w*\s*[:=]\s*|.*?\|Auth\dPSK=)[^\s|]+', '$1(removed)')
}

function Hide-Name([string] $Text) {
    if (-not $Redact) { return $Text }
    foreach ($name in $Names) {
        $pattern = '(?i)(?<![A-Za-z0-9])' + [regex]::Escape($name) + '(?![A-Za-z0-9])'
        $Text = [regex]::Replace($Text, $pattern, (Get-Pseudonym $name 'abcdefghijklmnopqrstuvwxyz'))
    }
    foreach ($match in [regex]::Matches($Text, 'S-1-5-21-(\d+)-(\d+)-(\d+)')) {
        $parts = @(1, 2, 3 | ForEach-Object { Get-Pseudonym $match.Groups[$_].Value '123456789' })
        $Text = $Text.Replace($match.Value, 'S-1-5-21-' + ($parts -join '-'))
    }
    return $Text
}

# --- Saving --------------------------------------------------------------------------------------

function Add-Entry([string] $File, [string] $Command, [double] $Seconds, [string] $Problem) {
    [void] $Entries.Add([ordered] @{
        file = $File; command = (Hide-Name $Command); seconds = [Math]::Round($Seconds, 2); problem = (Hide-Name $Problem)
    })
}

function Save-Output([string] $Name, [scriptblock] $Script) {
    $command = ($Script.ToString().Trim() -replace '\s+', ' ')
    Write-Progress -Activity 'Gathering evidence of DirectAccess' -Status $command
    $first = ($command -split '\s')[0]
    if (-not (Get-Command $first -ErrorAction SilentlyContinue)) {
        Add-Entry '' $command 0 'there is no such command here'
        return
    }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $problem = ''
    try {
        $text = (& $Script 2>&1 | Out-String -Width 4096)
    } catch {
        $text = ($_ | Out-String -Width 4096)
        $problem = $_.Exception.Message
    }
    Save-Text $Name $command $text $clock.Elapsed.TotalSeconds $problem
}

function Save-Text([string] $Name, [string] $Command, [string] $Text, [double] $Seconds, [string] $Problem) {
    $file = $Name + '.txt'
    $whole = 'PS C:\> ' + $Command + "`r`n" + $Text
    [IO.File]::WriteAllText((Join-Path $Folder $file), (Hide-Name (Hide-Secret $whole)), $Utf8)
    Add-Entry $file $Command $Seconds $Problem
}

function Save-Registry([string] $Name, [string] $Key) {
    $path = 'Registry::' + ($Key -replace '^HKLM', 'HKEY_LOCAL_MACHINE' -replace '^HKCU', 'HKEY_CURRENT_USER' -replace '^HKU', 'HKEY_USERS')
    if (-not (Test-Path -LiteralPath $path)) {
        Add-Entry '' "reg query `"$Key`" /s" 0 'there is no such key'
        return
    }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $text = (reg.exe query $Key /s 2>&1 | Out-String -Width 4096)
    Save-Text $Name "reg query `"$Key`" /s" $text $clock.Elapsed.TotalSeconds ''
}

function Save-Log([string] $Name, [string] $Log, [string] $Condition) {
    Write-Progress -Activity 'Gathering evidence of DirectAccess' -Status $Log
    $since = [int64] $Days * 86400000
    $query = "*[System[TimeCreated[timediff(@SystemTime) <= $since]$Condition]]"
    $clock = [Diagnostics.Stopwatch]::StartNew()
    if ($Redact) {
        $text = (wevtutil.exe qe $Log "/q:$query" /f:xml /c:2000 /rd:true 2>&1 | Out-String -Width 65536)
        Save-Text $Name "wevtutil qe $Log /f:xml" $text $clock.Elapsed.TotalSeconds ''
        return
    }
    $file = $Name + '.evtx'
    $said = (wevtutil.exe epl $Log (Join-Path $Folder $file) "/q:$query" 2>&1 | Out-String)
    if (-not (Test-Path -LiteralPath (Join-Path $Folder $file))) { $file = '' }
    Add-Entry $file "wevtutil epl $Log" $clock.Elapsed.TotalSeconds $said.Trim()
}

function Save-Certificate([string] $Name, [Security.Cryptography.X509Certificates.X509Certificate2] $Certificate) {
    if ($Redact) { return '' }
    $file = Join-Path $Folder ($Name + '.cer')
    $public = $Certificate.Export([Security.Cryptography.X509Certificates.X509ContentType]::Cert)
    [IO.File]::WriteAllBytes($file, $public)
    Add-Entry ($Name + '.cer') 'the public part of a certificate' 0 ''
    return $file
}

function Save-Copy([string] $Name, [string] $Path) {
    if ($Redact -or -not (Test-Path -LiteralPath $Path)) { return }
    try {
        Copy-Item -LiteralPath $Path -Destination (Join-Path $Folder $Name) -ErrorAction Stop
        Add-Entry $Name "copy of $Path" 0 ''
    } catch {
        Add-Entry '' "copy of $Path" 0 $_.Exception.Message
    }
}

# --- The machine ---------------------------------------------------------------------------------

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$elevated = (New-Object Security.Principal.WindowsPrincipal($identity)).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
if (-not $elevated) { Write-Warning 'Not elevated: some commands will not tell all. Better run this as an administrator.' }
$domain = ''
try { $domain = [DirectoryServices.ActiveDirectory.Domain]::GetComputerDomain().Name } catch { $domain = '' }
foreach ($name in @($env:COMPUTERNAME, $env:USERNAME, $env:USERDOMAIN, $env:USERDNSDOMAIN, $domain)) {
    if ($name) { Add-Name $name }
}

Save-Output 'date' { Get-Date -Format o }
Save-Output 'systeminfo' { systeminfo }
Save-Output 'ipconfig-all' { ipconfig /all }
Save-Output 'route-print' { route print }
Save-Output 'gpresult' { gpresult /r /scope computer }
Save-Output 'firewallproduct' { Get-CimInstance -Namespace root\SecurityCenter2 -ClassName FirewallProduct | Format-List * }
foreach ($service in @('iphlpsvc', 'mpssvc', 'bfe', 'ikeext', 'policyagent', 'ncasvc', 'dnscache', 'nlasvc', 'w32time', 'netlogon', 'ramgmtsvc', 'remoteaccess', 'kpssvc')) {
    Save-Output "sc-query-$service" ([scriptblock]::Create("sc.exe query $service"))
}

# --- Transition technologies ---------------------------------------------------------------------

Save-Output 'netsh-interface-httpstunnel-show-interfaces' { netsh interface httpstunnel show interfaces }
Save-Output 'netsh-interface-teredo-show-state' { netsh interface teredo show state }
Save-Output 'netsh-interface-6to4-show-state' { netsh interface 6to4 show state }
Save-Output 'netsh-interface-6to4-show-relay' { netsh interface 6to4 show relay }
Save-Output 'netsh-interface-6to4-show-routing' { netsh interface 6to4 show routing }
Save-Output 'netsh-interface-6to4-show-interface' { netsh interface 6to4 show interface }
Save-Output 'netsh-interface-isatap-show-state' { netsh interface isatap show state }
Save-Output 'netsh-interface-isatap-show-router' { netsh interface isatap show router }
Save-Output 'netsh-interface-ipv6-show-interfaces' { netsh interface ipv6 show interfaces level=verbose }
Save-Output 'netsh-interface-ipv6-show-route' { netsh interface ipv6 show route }
Save-Output 'netsh-interface-ipv6-show-prefixpolicies' { netsh interface ipv6 show prefixpolicies }
Save-Output 'Get-NetIPHttpsState' { Get-NetIPHttpsState | Format-List * }
Save-Output 'Get-NetIPHttpsConfiguration' { Get-NetIPHttpsConfiguration | Format-List * }
Save-Output 'Get-NetTeredoState' { Get-NetTeredoState | Format-List * }
Save-Output 'Get-NetTeredoConfiguration' { Get-NetTeredoConfiguration | Format-List * }
Save-Output 'Get-Net6to4Configuration' { Get-Net6to4Configuration | Format-List * }
Save-Output 'Get-NetIsatapConfiguration' { Get-NetIsatapConfiguration | Format-List * }
Save-Output 'Get-NetIPInterface' { Get-NetIPInterface -AddressFamily IPv6 | Format-List * }
Save-Output 'Get-NetRoute' { Get-NetRoute -AddressFamily IPv6 | Format-Table -AutoSize }

# --- Names, location, proxies --------------------------------------------------------------------

Save-Output 'netsh-namespace-show-policy' { netsh namespace show policy }
Save-Output 'netsh-namespace-show-effectivepolicy' { netsh namespace show effectivepolicy }
Save-Output 'netsh-dnsclient-show-state' { netsh dnsclient show state }
Save-Output 'Get-DnsClientNrptPolicy' { Get-DnsClientNrptPolicy | Format-List * }
Save-Output 'Get-DnsClientNrptPolicy-Effective' { Get-DnsClientNrptPolicy -Effective | Format-List * }
Save-Output 'Get-DnsClientNrptRule' { Get-DnsClientNrptRule | Format-List * }
Save-Output 'Get-DnsClientNrptGlobal' { Get-DnsClientNrptGlobal | Format-List * }
Save-Output 'Get-DAConnectionStatus' { Get-DAConnectionStatus | Format-List * }
Save-Output 'Get-DAClientExperienceConfiguration' { Get-DAClientExperienceConfiguration | Format-List * }
Save-Output 'Get-NCSIPolicyConfiguration' { Get-NCSIPolicyConfiguration | Format-List * }
Save-Output 'netsh-winhttp-show-proxy' { netsh winhttp show proxy }

# --- Firewall and IPsec --------------------------------------------------------------------------

Save-Output 'netsh-advfirewall-show-currentprofile' { netsh advfirewall show currentprofile }
Save-Output 'netsh-advfirewall-show-allprofiles' { netsh advfirewall show allprofiles }
Save-Output 'netsh-advfirewall-show-global' { netsh advfirewall show global }
Save-Output 'netsh-advfirewall-monitor-show-currentprofile' { netsh advfirewall monitor show currentprofile }
Save-Output 'netsh-advfirewall-consec-show-rule' { netsh advfirewall consec show rule name=all }
Save-Output 'netsh-advfirewall-monitor-show-consec' { netsh advfirewall monitor show consec }
Save-Output 'netsh-advfirewall-monitor-show-mmsa' { netsh advfirewall monitor show mmsa }
Save-Output 'netsh-advfirewall-monitor-show-qmsa' { netsh advfirewall monitor show qmsa }
Save-Output 'Get-NetFirewallProfile' { Get-NetFirewallProfile -PolicyStore ActiveStore | Format-List * }
Save-Output 'Get-NetIPsecRule' { Get-NetIPsecRule -PolicyStore ActiveStore | Format-List * }
Save-Output 'Get-NetIPsecMainModeSA' { Get-NetIPsecMainModeSA | Format-List * }
Save-Output 'Get-NetIPsecQuickModeSA' { Get-NetIPsecQuickModeSA | Format-List * }
Save-Output 'auditpol' { auditpol /get /category:"Logon/Logoff" }

# --- Certificates: public parts only -------------------------------------------------------------

Save-Output 'certutil-store-my' { certutil -v -store My }
Save-Output 'certutil-store-root' { certutil -store Root }
Save-Output 'certutil-store-ca' { certutil -store CA }
Save-Output 'certutil-urlcache-crl' { certutil -urlcache CRL }
Save-Output 'Get-ChildItem-Cert' { Get-ChildItem Cert:\LocalMachine\My | Format-List -Property @('Subject', 'Issuer', 'SerialNumber', 'Thumbprint', 'NotBefore', 'NotAfter', 'HasPrivateKey', 'DnsNameList', 'EnhancedKeyUsageList') }
$count = 0
foreach ($certificate in @(Get-ChildItem Cert:\LocalMachine\My -ErrorAction SilentlyContinue)) {
    $count++
    $file = Save-Certificate "certificate-my-$count" $certificate
    if ($file -and -not $NoNetwork) {
        Save-Output "certutil-verify-my-$count" ([scriptblock]::Create("certutil -verify -urlfetch `"$file`""))
    }
}

# --- The domain ----------------------------------------------------------------------------------

if (-not $NoNetwork) {
    Save-Output 'nltest-dsgetdc' { nltest /dsgetdc: /force }
    Save-Output 'w32tm-query-status' { w32tm /query /status }
    if ($domain) {
        Save-Output 'w32tm-stripchart' ([scriptblock]::Create("w32tm /stripchart /computer:$domain /samples:3 /dataonly"))
    }
    Save-Output 'dfsrmig' { dfsrmig /getglobalstate }
}

# --- The server ----------------------------------------------------------------------------------

Save-Output 'Get-RemoteAccess' { Get-RemoteAccess | Format-List * }
Save-Output 'Get-RemoteAccessHealth' { Get-RemoteAccessHealth -Verbose | Format-List * }
Save-Output 'Get-RemoteAccessConnectionStatistics' { Get-RemoteAccessConnectionStatistics | Format-List * }
Save-Output 'Get-DAServer' { Get-DAServer | Format-List * }
Save-Output 'Get-DAClient' { Get-DAClient | Format-List * }
Save-Output 'netsh-http-show-sslcert' { netsh http show sslcert }

# --- Registry: settings and what group policy has put there --------------------------------------

Save-Registry 'reg-query-tcpip6' 'HKLM\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters'
Save-Registry 'reg-query-v6transition' 'HKLM\SOFTWARE\Policies\Microsoft\Windows\TCPIP\v6Transition'
Save-Registry 'reg-query-nrpt-policy' 'HKLM\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient'
Save-Registry 'reg-query-nrpt-local' 'HKLM\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters\DnsPolicyConfig'
Save-Registry 'reg-query-firewall-policy' 'HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall'
Save-Registry 'reg-query-nca-policy' 'HKLM\SOFTWARE\Policies\Microsoft\Windows\NetworkConnectivityAssistant'
Save-Registry 'reg-query-ncsi-policy' 'HKLM\SOFTWARE\Policies\Microsoft\Windows\NetworkConnectivityStatusIndicator'
Save-Registry 'reg-query-proxymgr' 'HKLM\SYSTEM\CurrentControlSet\Services\iphlpsvc\Parameters\ProxyMgr'
Save-Registry 'reg-query-proxy-user' 'HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings'
Save-Registry 'reg-query-proxy-system' 'HKU\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings'
Save-Copy 'Registry.pol' (Join-Path $env:SystemRoot 'System32\GroupPolicy\Machine\Registry.pol')

# --- Event logs ----------------------------------------------------------------------------------

$ipsec = ' and (EventID=4646 or (EventID >= 4650 and EventID <= 4655) or (EventID >= 4976 and EventID <= 4984) or (EventID >= 5451 and EventID <= 5453))'
Save-Log 'events-security' 'Security' $ipsec
$logs = @(
    'Microsoft-Windows-Ncasvc/Operational', 'Microsoft-Windows-Iphlpsvc/Operational',
    'Microsoft-Windows-NCSI/Operational', 'Microsoft-Windows-DNS-Client/Operational',
    'Microsoft-Windows-GroupPolicy/Operational', 'Microsoft-Windows-NetworkProfile/Operational',
    'Microsoft-Windows-RemoteAccess-MgmtClient/Operational', 'Microsoft-Windows-RemoteAccess-RemoteAccessServer/Operational'
)
foreach ($log in $logs) {
    Save-Log ('events-' + ($log -replace '^Microsoft-Windows-', '' -replace '/.*$', '')) $log ''
}
Save-Log 'events-system' 'System' ' and (Level=1 or Level=2 or Level=3)'

# --- The way to the DirectAccess server ----------------------------------------------------------

function Get-ServerCertificate([string] $Server) {
    $client = New-Object Net.Sockets.TcpClient
    try {
        if (-not $client.ConnectAsync($Server, 443).Wait(5000)) { return $null }
        $anything = [Net.Security.RemoteCertificateValidationCallback] { $true }
        $stream = New-Object Net.Security.SslStream($client.GetStream(), $false, $anything)
        $stream.ReadTimeout = 5000
        $stream.AuthenticateAsClient($Server)
        return New-Object Security.Cryptography.X509Certificates.X509Certificate2($stream.RemoteCertificate)
    } catch {
        return $null
    } finally {
        $client.Close()
    }
}

$tunnel = (netsh interface httpstunnel show interfaces 2>&1 | Out-String)
if (-not $NoNetwork -and $tunnel -match 'https://([A-Za-z0-9.-]+)[:/]') {
    $server = $Matches[1]
    Save-Output 'nslookup-server' ([scriptblock]::Create("nslookup $server"))
    Save-Output 'Resolve-DnsName-server' ([scriptblock]::Create("Resolve-DnsName $server | Format-List *"))
    Save-Output 'Test-NetConnection-server' ([scriptblock]::Create("Test-NetConnection $server -Port 443"))
    $shown = Get-ServerCertificate $server
    if ($shown) {
        $file = Save-Certificate 'certificate-shown-by-server' $shown
        if ($file) { Save-Output 'certutil-verify-server' ([scriptblock]::Create("certutil -verify -urlfetch `"$file`"")) }
    }
}
if (-not $NoNetwork) {
    $rules = (netsh advfirewall consec show rule name=all 2>&1 | Out-String)
    $endpoints = @([regex]::Matches($rules, '(?m)^RemoteTunnelEndpoint\s*:\s*([0-9A-Fa-f:]{3,39})\s*$') | ForEach-Object { $_.Groups[1].Value } | Select-Object -Unique -First 4)
    $number = 0
    foreach ($endpoint in $endpoints) {
        $number++
        Save-Output "ping-endpoint-$number" ([scriptblock]::Create("ping -n 2 $endpoint"))
    }
}

# --- Manifest and zip ----------------------------------------------------------------------------

$files = @(Get-ChildItem -LiteralPath $Folder -File | Sort-Object Name | ForEach-Object {
    [ordered] @{ file = $_.Name; bytes = $_.Length; sha256 = (Get-FileHash -LiteralPath $_.FullName -Algorithm SHA256).Hash }
})
$manifest = [ordered] @{
    collection = 'throughway doctor --collect windows'
    version = $Version
    computer = (Hide-Name $env:COMPUTERNAME)
    started = $Started.ToString('o')
    finished = (Get-Date).ToString('o')
    windows = [Environment]::OSVersion.Version.ToString()
    powershell = $PSVersionTable.PSVersion.ToString()
    culture = (Get-UICulture).Name
    elevated = $elevated
    redacted = [bool] $Redact
    commands = @($Entries)
    files = $files
}
$json = ($manifest | ConvertTo-Json -Depth 5)
[IO.File]::WriteAllText((Join-Path $Folder 'manifest.json'), $json, $Utf8)

$zip = Join-Path $Destination ('directaccess-' + (Hide-Name $env:COMPUTERNAME) + '-' + $Stamp + '.zip')
Add-Type -AssemblyName System.IO.Compression.FileSystem
try {
    [IO.Compression.ZipFile]::CreateFromDirectory($Folder, $zip)
} finally {
    Remove-Item -LiteralPath $Folder -Recurse -Force
}
Write-Progress -Activity 'Gathering evidence of DirectAccess' -Completed
Write-Output $zip
